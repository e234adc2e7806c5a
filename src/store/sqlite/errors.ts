import { fileError } from '../../durable-files.ts'
import { EverleafError, isEverleafError, messageOf } from '../../errors.ts'

const mending = 'stop the server and put its newest backup in place with `everleaf restore`'

/** SQLite's primary result codes (https://www.sqlite.org/rescode.html) that an operator can do something about. */
const unavailable: Record<number, string> = {
  5: 'another process holds it locked',
  6: 'another connection holds it locked',
  7: 'there is no memory left',
  8: 'it or its directory is read-only for this user',
  10: 'the disk does not read or write',
  13: 'the disk is full',
  14: 'it cannot be opened or created: its directory must exist and be writable by this user',
}

/**
 * The one place where SQLite's and the file system's errors become ours. `file` is the database as its operator knows
 * it.
 * What is no such error comes back as it is.
 */
export function translateError(error: unknown, file: string): unknown {
  if (isEverleafError(error) || !(error instanceof Error)) return error
  const { errcode, code = '' } = error as Error & { errcode?: number; code?: string }
  const wrap = (kind: EverleafError['code'], message: string) => new EverleafError(kind, message, { cause: error })
  if (errcode === undefined) {
    if ('syscall' in error) return fileError(error, `using the database ${file}`)
    if (code === 'ERR_INVALID_STATE') return wrap('unavailable', `the database ${file} is closed`)
    return code === 'ERR_INVALID_ARG_VALUE'
      ? wrap('bad-input', `the database cannot hold it: ${messageOf(error)}`)
      : error
  }
  const primary = errcode & 0xff
  // Extended codes of SQLITE_CONSTRAINT: primary key, unique, rowid.
  if (errcode === 1555 || errcode === 2067 || errcode === 2579)
    return wrap(
      'conflict',
      `a record with the same ${error.message.replace('UNIQUE constraint failed: ', '')} exists already`,
    )
  if (primary === 11 || primary === 26)
    return wrap('damaged', `the database ${file} is damaged (${messageOf(error)}): ${mending}`)
  const reason = unavailable[primary]
  if (reason) return wrap('unavailable', `the database ${file} cannot be used: ${reason} (${messageOf(error)})`)
  return wrap('internal', `the database ${file} refuses a statement: ${messageOf(error)}`)
}

/** Damage that was not found by SQLite itself. */
export const damaged = (file: string, what: string): EverleafError =>
  new EverleafError('damaged', `the database ${file} is damaged (${what}): ${mending}`)

/** SQLITE_FULL: of a copy, it is the target that is full. */
export const isFull = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 13

/** SQLITE_CORRUPT, SQLITE_NOTADB. */
const unreadableCodes = [11, 26]
/** SQLITE_IOERR_READ, _SHORT_READ, _DATA, _CORRUPTFS. */
const unreadableExtended = [266, 522, 8202, 8458]

/** Whether the bytes of a database are wrong, or the disk does not give them; and not, for one, that a disk is full. */
export function isUnreadable(error: unknown): boolean {
  if (isEverleafError(error, 'damaged')) return true
  const errcode = ((error as Error).cause as { errcode?: number } | undefined)?.errcode ?? 0
  return unreadableCodes.includes(errcode & 0xff) || unreadableExtended.includes(errcode)
}

/** What SQLite says of an unreadable database, without our advice. */
export const damageOf = (error: unknown): string =>
  messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error)
