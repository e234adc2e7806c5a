import { chownSync, closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { damaged } from './errors.ts'

/**
 * What lies beside a database: its log and the log's index, or its journal. No file of a database that this process has
 * open may be opened here: closing it would drop SQLite's locks (POSIX advisory locks belong to the process).
 */
export const sidecars = (file: string): string[] => [`${file}-wal`, `${file}-shm`, `${file}-journal`]

/** Makes what was written to a file, or renamed in a directory, durable. */
export function syncPath(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

export const syncDirectoryOf = (file: string): void => syncPath(dirname(file))

/** An empty file that only its owner may read. Fails where it exists. */
export const createPrivate = (file: string): void => closeSync(openSync(file, 'wx', 0o600))

/** SQLite takes an empty file for a new database. A new one appears under its name complete, so an empty one lost its bytes. */
export function refuseEmpty(file: string): void {
  if (existsSync(file) && statSync(file).size === 0) throw damaged(file, 'the file is empty')
}

export function removeDatabase(file: string): void {
  for (const path of [file, ...sidecars(file)]) rmSync(path, { force: true })
}

/** Root working on a service's files hands them to the service, which could not write them otherwise. */
export function giveTo(file: string, like: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(like)
  for (const path of [file, ...sidecars(file)]) if (existsSync(path)) chownSync(path, uid, gid)
}
