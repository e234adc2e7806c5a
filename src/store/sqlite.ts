import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import type { Instant } from '../model.ts'
import { reads, writes } from './aggregates.ts'
import { copyDatabase } from './backup.ts'
import { readMigrations } from './migrations.ts'
import { Connection, readSql } from './sqlite/connection.ts'
import { damaged, translateError } from './sqlite/errors.ts'
import { createPrivate, giveTo, refuseEmpty, removeDatabase, sidecars, syncDirectoryOf } from './sqlite/files.ts'
import { groupCommit } from './sqlite/group-commit.ts'
import { lockDatabase } from './sqlite/lock.ts'
import { migrate } from './sqlite/migrate.ts'
import type { Backup, Store } from './store.ts'

export interface SqliteOptions {
  /** Its directory must exist. `:memory:` is a temporary file, gone with `close`, so that it behaves as any other. */
  file: string
  /** Tells when a migration was applied. */
  clock?: Clock
}

/** 32 MiB of log between checkpoints: each writes the index pages once, however often they changed. */
const checkpointPages = 8_192
/** A log that grew beyond it during a backup is cut back to it, in bytes. */
const largestLog = 64 * 1024 * 1024
const writerCache = 'PRAGMA cache_size = -65536'
const readerCache = 'PRAGMA cache_size = -16384'

/** Makes a new database aside and renames it when it is complete, so that an empty file is always a damaged one. */
function createDatabase(file: string, at: Instant | null): void {
  const unfinished = `${file}.new`
  removeDatabase(unfinished)
  createPrivate(unfinished)
  const connection = new Connection(unfinished, { calls: file })
  try {
    connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    migrate(connection, { file, known: readMigrations('sqlite'), at, empty: true })
  } finally {
    connection.close()
  }
  giveTo(unfinished, dirname(file))
  renameSync(unfinished, file)
  syncDirectoryOf(file)
}

/** Notices at once, and without reading the data, what would otherwise look like a new database. */
function refuseRemains(file: string): void {
  refuseEmpty(file)
  if (existsSync(file)) return
  const left = sidecars(file).find((path) => path.endsWith('-wal') && existsSync(path))
  if (left) throw damaged(file, `the file is missing, but its log ${left} is there`)
}

function openWriter(file: string, { at, durable }: { at: Instant | null; durable: boolean }): Connection {
  if (!existsSync(file)) createDatabase(file, at)
  const connection = new Connection(file)
  try {
    migrate(connection, { file, known: readMigrations('sqlite'), at })
    // Only now that it is known to be ours: the mode is written into the file.
    connection.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durable ? 'FULL' : 'OFF'}`)
    connection.exec(
      `${writerCache}; PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA journal_size_limit = ${largestLog}`,
    )
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/**
 * Opens the store in one SQLite file, and makes it where there is none. One process at a time may hold it
 * (`unavailable` otherwise); others may read it and take backups. Every write goes through one connection, and every read through
 * another one that sees only what is committed.
 */
export async function openSqlite({ file: given, clock }: SqliteOptions): Promise<Store & Backup> {
  const temporary = given === ':memory:' ? mkdtempSync(join(tmpdir(), 'everleaf-')) : null
  const file = temporary ? join(temporary, 'everleaf.db') : given
  const lock = lockDatabase(file)
  const opened: Array<{ close(): void }> = [{ close: lock.release }]
  const closeAll = () => {
    for (const resource of opened.splice(0).reverse()) resource.close()
    if (temporary) rmSync(temporary, { recursive: true, force: true })
  }
  try {
    refuseRemains(file)
    const writer = openWriter(file, { at: clock?.now() ?? null, durable: !temporary })
    opened.push(writer)
    const reader = new Connection(file, { readOnly: true })
    opened.push(reader)
    reader.exec(readerCache)
    const commits = groupCommit(writer, writes)
    return {
      ...reads(readSql(reader)),
      transaction: commits.transaction,
      backup: (path, progress) => copyDatabase({ file, to: path, progress }),
      async close() {
        await commits.close()
        closeAll()
      },
    }
  } catch (error) {
    closeAll()
    throw translateError(error, file)
  }
}
