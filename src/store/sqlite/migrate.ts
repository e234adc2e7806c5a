import { EverleafError } from '../../errors.ts'
import type { Instant } from '../../model.ts'
import { type AppliedMigration, type Migration, pendingMigrations } from '../migrations.ts'
import type { Connection } from './connection.ts'
import { damaged } from './errors.ts'

/** 'EVLF', written by the first migration into the header of the file. */
const applicationId = 0x45564c46

/** Throws unless the database is Everleaf's: `damaged` where it has no schema left, `configuration` where it is another's. */
function refuseForeign(connection: Connection, file: string): void {
  const found = connection.get<{ application_id: number }>('PRAGMA application_id')?.application_id
  const tables = connection.get<{ total: number }>('SELECT count(*) AS total FROM sqlite_schema')?.total ?? 0
  if (found === applicationId && tables > 0) return
  if (found === applicationId) throw damaged(file, 'it has no table')
  const message = `${file} is a SQLite database, but not Everleaf's: its application id is ${found}, not ${applicationId}`
  throw new EverleafError('configuration', message)
}

const appliedTo = (connection: Connection): AppliedMigration[] =>
  connection.all<AppliedMigration>('SELECT number, name, digest FROM migration ORDER BY number')

/** Gives an empty database its schema, or brings one of Everleaf's up to date. Each migration is all or nothing. */
export function migrate(
  connection: Connection,
  {
    file,
    known,
    at,
    empty = false,
  }: { file: string; known: readonly Migration[]; at: Instant | null; empty?: boolean },
): void {
  if (!empty) refuseForeign(connection, file)
  connection.exec('BEGIN IMMEDIATE')
  try {
    if (empty)
      connection.exec(
        'CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, applied_at INTEGER) STRICT',
      )
    for (const { number, name, digest, text } of pendingMigrations(known, appliedTo(connection), file)) {
      connection.exec(text)
      const record = 'INSERT INTO migration (number, name, digest, applied_at) VALUES ($1, $2, $3, $4)'
      connection.run(record, [number, name, digest, at])
    }
    connection.exec('COMMIT')
  } catch (error) {
    if (connection.inTransaction) connection.exec('ROLLBACK')
    throw error
  }
}
