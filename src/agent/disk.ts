import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { AgentError, reasonOf } from './error.ts'

/**
 * What the agent does to a disk, one step each, so that a power cut can be tried between any two of them.
 * Nothing is durable before its `sync…`. What is absent reads as null or empty; every other failure is an AgentError `local`.
 */
export interface Disk {
  read(path: string): Uint8Array | null
  readLink(path: string): string | null
  list(path: string): string[]
  /** Creates or truncates. `mode` counts on creation only. */
  write(path: string, bytes: Uint8Array, mode: number): void
  syncFile(path: string): void
  /** Makes durable which names the directory holds. */
  syncDirectory(path: string): void
  /** With its parents; returns the uppermost directory that was made, null when all were there. */
  makeDirectory(path: string): string | null
  symlink(target: string, path: string): void
  /** A second name for a file; false when `path` exists already. */
  link(existing: string, path: string): boolean
  rename(from: string, to: string): void
  removeFile(path: string): void
  removeDirectory(path: string): void
}

const errorCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code

const attempt = <T>(what: string, path: string, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    throw new AgentError('local', `cannot ${what} ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

const orElse = <T, E>(code: string, otherwise: E, work: () => T): T | E => {
  try {
    return work()
  } catch (error) {
    if (errorCode(error) === code) return otherwise
    throw error
  }
}

/** Copies that follow links leave directories in their places. */
const targetOf = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (errorCode(error) !== 'EINVAL') throw error
    throw new Error('it is no symbolic link; remove it, and it is made anew', { cause: error })
  }
}

const withFile = (path: string, flags: string, work: (descriptor: number) => void, mode?: number): void => {
  const descriptor = openSync(path, flags, mode)
  try {
    work(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

const writeAll = (descriptor: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
}

export const systemDisk: Disk = {
  read: (path) => attempt('read', path, () => orElse('ENOENT', null, () => readFileSync(path))),
  readLink: (path) => attempt('read the link', path, () => orElse('ENOENT', null, () => targetOf(path))),
  list: (path) => attempt('list', path, () => orElse('ENOENT', [], () => readdirSync(path))),
  write: (path, bytes, mode) =>
    attempt('write', path, () => withFile(path, 'w', (descriptor) => writeAll(descriptor, bytes), mode)),
  syncFile: (path) => attempt('sync', path, () => withFile(path, 'r', fsyncSync)),
  syncDirectory: (path) => attempt('sync', path, () => withFile(path, 'r', fsyncSync)),
  makeDirectory: (path) => attempt('create', path, () => mkdirSync(path, { recursive: true, mode: 0o700 }) ?? null),
  symlink: (target, path) => attempt('link', path, () => symlinkSync(target, path)),
  link: (existing, path) =>
    attempt('create', path, () =>
      orElse('EEXIST', false, () => {
        linkSync(existing, path)
        return true
      }),
    ),
  rename: (from, to) => attempt('rename', from, () => renameSync(from, to)),
  removeFile: (path) => attempt('remove', path, () => orElse('ENOENT', undefined, () => unlinkSync(path))),
  removeDirectory: (path) => attempt('remove', path, () => orElse('ENOENT', undefined, () => rmdirSync(path))),
}
