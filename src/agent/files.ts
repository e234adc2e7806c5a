/** Durable writes put together from the steps of a Disk: each returns only when a power cut can no longer undo it. */
import { dirname } from 'node:path'
import type { Disk } from './disk.ts'
import { AgentError, reasonOf } from './error.ts'

const utf8 = new TextEncoder()

export const privateMode = 0o600
export const publicMode = 0o644

/** Writes a new file. For a file that somebody may be reading use `replaceFile`. */
export const writeFile = (disk: Disk, path: string, text: string, mode: number): void => {
  disk.write(path, utf8.encode(text), mode)
  disk.syncFile(path)
  disk.syncDirectory(dirname(path))
}

/** Replaces a file at once: at every instant its name shows the whole old text or the whole new one. */
export const replaceFile = (disk: Disk, path: string, text: string, mode: number): void => {
  const next = `${path}.new`
  disk.removeFile(next)
  disk.write(next, utf8.encode(text), mode)
  disk.syncFile(next)
  disk.rename(next, path)
  disk.syncDirectory(dirname(path))
}

/** Points the symbolic link `path` at `target` in one rename. */
export const switchLink = (disk: Disk, path: string, target: string): void => {
  const next = `${path}.new`
  disk.removeFile(next)
  disk.symlink(target, next)
  disk.rename(next, path)
  disk.syncDirectory(dirname(path))
}

/** Makes a directory in one of ours. Synced even when it was there: whoever made it may have died before. */
export const makeDirectory = (disk: Disk, path: string): void => {
  disk.makeDirectory(path)
  disk.syncDirectory(dirname(path))
}

/** Makes a directory with its parents. Those that were there are not touched: they may be unreadable for us. */
export const makeDirectories = (disk: Disk, path: string): void => {
  const uppermost = disk.makeDirectory(path)
  if (uppermost === null) return
  for (let made = path; made.length >= uppermost.length; made = dirname(made)) disk.syncDirectory(dirname(made))
}

/** Removes a directory of plain files. */
export const removeTree = (disk: Disk, path: string): void => {
  for (const name of disk.list(path)) disk.removeFile(`${path}/${name}`)
  disk.removeDirectory(path)
}

export const readText = (disk: Disk, path: string): string | null => {
  const bytes = disk.read(path)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

/** The object in a JSON file; null when there is no file. Throws AgentError `local` on anything else. */
export const readObject = (disk: Disk, path: string): Record<string, unknown> | null => {
  const text = readText(disk, path)
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON object')
    return value as Record<string, unknown>
  } catch (error) {
    throw new AgentError('local', `${path} is damaged: ${reasonOf(error)}`, { cause: error })
  }
}

export const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
