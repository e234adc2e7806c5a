/** Files that are there whole or not at all, whenever the power fails: written aside, flushed, renamed, directory flushed. */
import { randomUUID } from 'node:crypto'
import * as nodeFiles from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { EverleafError, isEverleafError } from './errors.ts'

/** The calls made, so that a test can fail any one of them. */
export type FileSystem = Pick<typeof nodeFiles, 'open' | 'rename' | 'rm' | 'mkdir' | 'readFile' | 'readdir'>

export const realFileSystem: FileSystem = nodeFiles

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be larger than allowed',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOENT: 'no such file or directory',
  EEXIST: 'something else has that name',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  EBUSY: 'it is in use, maybe a mount point',
  EIO: 'the disk reports an error',
  EMFILE: 'too many open files',
}

export const errorCodeOf = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null

/** An `unavailable` that says in plain words what the operating system refused. `doing`: e.g. `writing /a/b`. */
export const fileError = (error: unknown, doing: string): EverleafError => {
  if (isEverleafError(error)) return error
  const code = errorCodeOf(error) ?? String(error)
  return new EverleafError('unavailable', `${doing}: ${reasons[code] ?? 'the system refused'} (${code})`, {
    cause: error,
  })
}

/** The bytes of a file, or null where there is none. */
export const readIfThere = async (path: string, files: FileSystem = realFileSystem): Promise<Uint8Array | null> => {
  try {
    return await files.readFile(path)
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return null
    throw fileError(error, `reading ${path}`)
  }
}

/** Makes names in a directory durable: what was created, renamed or removed there. */
export const flushDirectory = async (directory: string, files: FileSystem = realFileSystem): Promise<void> => {
  const handle = await files.open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Node answers ENOENT to `recursive` on a read-only file system; without it the real reason comes. */
const plainCause = async (error: unknown, directory: string, files: FileSystem): Promise<unknown> => {
  if (errorCodeOf(error) !== 'ENOENT') return error
  try {
    await files.mkdir(directory)
    return error
  } catch (plain) {
    return plain
  }
}

/** Makes a directory and what is missing above it, durably. */
export const makeDirectory = async (
  directory: string,
  mode = 0o755,
  files: FileSystem = realFileSystem,
): Promise<void> => {
  try {
    const target = resolve(directory)
    const first = await files.mkdir(target, { recursive: true, mode })
    if (first === undefined) return
    for (let made = target; made.length >= first.length; made = dirname(made))
      await flushDirectory(dirname(made), files)
  } catch (error) {
    throw fileError(await plainCause(error, directory, files), `making the directory ${directory}`)
  }
}

/** A file written and flushed under its own name, which must be free. `mode` holds whatever the umask. */
export const writeFlushed = async (
  path: string,
  bytes: Uint8Array | string,
  mode: number,
  files: FileSystem = realFileSystem,
): Promise<void> => {
  const handle = await files.open(path, 'wx', mode)
  try {
    await handle.chmod(mode)
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A free name beside `path` for what will be renamed to it; `removeTemporaries` knows it. */
export const temporaryFor = (path: string): string => join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`)

const isTemporaryFor = (name: string, path: string): boolean =>
  name.startsWith(`.${basename(path)}.`) && name.endsWith('.tmp')

/** Removes what writers of `path` left behind that were killed. Only for who knows that nobody writes it now. */
export const removeTemporaries = async (path: string, files: FileSystem = realFileSystem): Promise<void> => {
  const directory = dirname(path)
  try {
    for (const name of await files.readdir(directory))
      if (isTemporaryFor(name, path)) await files.rm(join(directory, name), { force: true })
  } catch (error) {
    throw fileError(error, `clearing ${directory}`)
  }
}

/** Replaces a file in one step. Throws `unavailable`; then the old one is still there, whole. */
export const writeDurably = async (
  path: string,
  bytes: Uint8Array | string,
  { mode = 0o644, files = realFileSystem }: { mode?: number; files?: FileSystem } = {},
): Promise<void> => {
  const temporary = temporaryFor(path)
  try {
    await writeFlushed(temporary, bytes, mode, files)
    await files.rename(temporary, path)
    await flushDirectory(dirname(path), files)
  } catch (error) {
    // What went wrong first is what matters; a leftover is removed by the next writer.
    await files.rm(temporary, { force: true }).catch(() => undefined)
    throw fileError(error, `writing ${path}`)
  }
}

/** Removes a file durably; one that is not there is fine. */
export const removeDurably = async (path: string, files: FileSystem = realFileSystem): Promise<void> => {
  try {
    await files.rm(path, { force: true })
    await flushDirectory(dirname(path), files)
  } catch (error) {
    throw fileError(error, `removing ${path}`)
  }
}
