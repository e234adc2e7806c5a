import { existsSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { backup } from 'node:sqlite'
import { EverleafError } from '../errors.ts'
import { Connection } from './sqlite/connection.ts'
import { damaged, isFull, translateError } from './sqlite/errors.ts'
import { createPrivate, giveTo, refuseEmpty, removeDatabase, syncDirectoryOf, syncPath } from './sqlite/files.ts'

export interface BackupOptions {
  file: string
  /** A new file: an older backup is never written over. */
  to: string
  /** What `to` is called in messages, where it is given its name later. */
  calls?: string
  /** Pages copied, and pages in all. */
  progress?: (done: number, total: number) => void
}

/** Pages copied between two looks at the event loop. */
const pagesPerStep = 2_048

/** Throws `damaged` where SQLite finds the structure of the database broken. Reads all of it. */
export function checkStructure(connection: Connection, file: string): void {
  const findings = connection.all<{ quick_check: string }>('PRAGMA quick_check(5)').map((row) => row.quick_check)
  if (findings.length !== 1 || findings[0] !== 'ok') throw damaged(file, findings.join('; ').replace(/\s*\n\s*/g, ' '))
}

/**
 * Copies the database as it is at one instant, while it may be written, into one private file that needs nothing beside
 * it. The file appears under its name when it is complete and durable.
 */
export async function copyDatabase({ file, to, calls = to, progress }: BackupOptions, check = false): Promise<void> {
  const unfinished = `${to}.partial`
  if (existsSync(to)) throw new EverleafError('conflict', `${to} exists already; name a new file for the backup`)
  if (!existsSync(file)) throw new EverleafError('not-found', `there is no database ${file}`)
  refuseEmpty(file)
  try {
    removeDatabase(unfinished)
    createPrivate(unfinished)
    await copyPages({ file, to: unfinished, calls, progress })
    // What is wrong with a copy was wrong with its original.
    const copy = new Connection(unfinished, { calls: file })
    try {
      // A log beside it could get lost or mixed up on the backup's way.
      copy.exec('PRAGMA journal_mode = DELETE')
      if (check) checkStructure(copy, file)
    } finally {
      copy.close()
    }
    syncPath(unfinished)
    giveTo(unfinished, dirname(to))
    renameSync(unfinished, to)
    syncDirectoryOf(to)
  } catch (error) {
    throw translateError(error, calls)
  } finally {
    removeDatabase(unfinished)
  }
}

async function copyPages({ file, to, calls, progress }: BackupOptions & { calls: string }): Promise<void> {
  const source = new Connection(file, { readOnly: true })
  try {
    // The snapshot stays the same through all steps, or every commit of the server would start the copy anew.
    source.exec('BEGIN')
    source.get('SELECT count(*) FROM sqlite_schema')
    const pages = await backup(source.database, to, {
      rate: pagesPerStep,
      progress: ({ totalPages, remainingPages }) => progress?.(totalPages - remainingPages, totalPages),
    })
    progress?.(pages, pages)
  } catch (error) {
    throw translateError(error, isFull(error) ? calls : file)
  } finally {
    source.close()
  }
}

/** Takes a backup from outside the server's process, and proves its structure. `damaged` where the database is. */
export const backupSqlite = (options: BackupOptions): Promise<void> => copyDatabase(options, true)
