import { copyFileSync, existsSync, linkSync, renameSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import { EverleafError, isEverleafError } from '../errors.ts'
import type { Instant } from '../model.ts'
import { checkStructure } from './backup.ts'
import { type Migration, readMigrations } from './migrations.ts'
import { carryOver } from './sqlite/carry-over.ts'
import { Connection } from './sqlite/connection.ts'
import { damaged, damageOf, isUnreadable, translateError } from './sqlite/errors.ts'
import { createPrivate, giveTo, removeDatabase, sidecars, syncDirectoryOf, syncPath } from './sqlite/files.ts'
import { lockDatabase } from './sqlite/lock.ts'
import { migrate } from './sqlite/migrate.ts'

export interface RestoreOptions {
  /** A file that a backup made. It is only read. */
  from: string
  /** The database to replace, or to make. */
  into: string
  /** Tells when a migration was applied. */
  clock?: Clock
  /** Bytes copied, and bytes in all. */
  progress?: (done: number, total: number) => void
}

export interface RestoreResult {
  /** Where the replaced database lies now; null: there was none. */
  replaced: string | null
  /** Records that the backup did not know, or not as they became, taken over from the replaced database, by kind. */
  carried: Record<string, number>
  /** What could not be read of the replaced database, and so may be lost; empty: nothing. */
  unread: string[]
}

interface Work {
  file: string
  known: readonly Migration[]
  at: Instant | null
}

async function copyBytes(from: string, to: string, progress: RestoreOptions['progress']): Promise<void> {
  const handles: FileHandle[] = []
  try {
    const source = await open(from, 'r')
    handles.push(source)
    const target = await open(to, 'r+')
    handles.push(target)
    const total = (await source.stat()).size
    const buffer = new Uint8Array(4 * 1024 * 1024)
    for (let done = 0; done < total; ) {
      const { bytesRead } = await source.read(buffer, 0, buffer.length, done)
      if (bytesRead === 0) break
      // A disk that fills up takes a part first, and says so only when asked for the rest.
      for (let written = 0; written < bytesRead; )
        written += (await target.write(buffer, written, bytesRead - written, done + written)).bytesWritten
      done += bytesRead
      progress?.(done, total)
    }
  } finally {
    for (const handle of handles) await handle.close()
  }
}

/** Copies the backup beside its destination and proves the copy. Nothing is synced yet: it is scratch until its rename. */
async function stage(from: string, staged: string, { known, at }: Work, progress: RestoreOptions['progress']) {
  removeDatabase(staged)
  createPrivate(staged)
  await copyBytes(from, staged, progress)
  if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${staged}-wal`)
  const connection = new Connection(staged, { calls: from })
  try {
    connection.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF')
    checkStructure(connection, from)
    migrate(connection, { file: from, known, at })
    return connection
  } catch (error) {
    connection.close()
    if (!isEverleafError(error, 'damaged')) throw error
    const message = `the backup ${from} is damaged; nothing was changed, take another one`
    throw new EverleafError('damaged', message, { cause: error })
  }
}

/**
 * Brings the database that will be replaced up to date and empties its log, so that it is one file. Null, or why it
 * cannot be read. Throws where it can, but must not be replaced by this program, or not now.
 */
function settleReplaced({ file, known, at }: Work): string | null {
  try {
    if (statSync(file).size === 0) throw damaged(file, 'the file is empty')
    const connection = new Connection(file)
    try {
      migrate(connection, { file, known, at })
      const blocked = connection.get<{ busy: number }>('PRAGMA wal_checkpoint(TRUNCATE)')?.busy
      if (blocked)
        throw new EverleafError('conflict', `another process reads ${file}, perhaps a backup; try again later`)
      return null
    } finally {
      connection.close()
    }
  } catch (error) {
    if (isUnreadable(error)) return `all of it: ${damageOf(error)}`
    throw error
  }
}

/** Keeps the old database under another name and puts the new one in its place; at no instant is there none. */
function switchTo(staged: string, file: string): string | null {
  const exists = existsSync(file)
  let kept = `${file}.replaced-1`
  for (let number = 2; existsSync(kept); number++) kept = `${file}.replaced-${number}`
  if (exists) keepAs(file, kept)
  // A log left beside the new file would be taken for its own.
  for (const path of sidecars(file)) {
    if (path.endsWith('-wal') && existsSync(path)) renameSync(path, `${kept}-wal`)
    else rmSync(path, { force: true })
  }
  giveTo(staged, exists ? file : dirname(file))
  syncPath(staged)
  renameSync(staged, file)
  syncDirectoryOf(file)
  return exists ? kept : null
}

function keepAs(file: string, kept: string): void {
  try {
    linkSync(file, kept)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    copyFileSync(file, kept)
    syncPath(kept)
  }
}

/**
 * Puts a backup in place of the database, with all that the replaced one knows beyond it: no certificate, no token's
 * use, no event gets lost that can still be read, no revocation is undone and no CRL number repeated. The old file is kept.
 * `damaged` where the backup is, `unavailable` while another process holds the database; then nothing is changed.
 */
export async function restoreSqlite({ from, into, clock, progress }: RestoreOptions): Promise<RestoreResult> {
  if (!existsSync(from)) throw new EverleafError('not-found', `there is no backup ${from}`)
  const lock = lockDatabase(into)
  const staged = `${into}.restoring`
  const work = { file: into, known: readMigrations('sqlite'), at: clock?.now() ?? null }
  try {
    if (existsSync(into) && statSync(from).ino === statSync(into).ino && statSync(from).dev === statSync(into).dev)
      throw new EverleafError('bad-input', `${from} is the database itself, not a backup of it`)
    const restored = await stage(from, staged, work, progress)
    let carried: Record<string, number> = {}
    let unread: string[] = []
    try {
      const unreadable = existsSync(into) ? settleReplaced(work) : null
      if (unreadable) unread = [unreadable]
      else if (existsSync(into)) ({ carried, unread } = carryOver(restored, into))
    } finally {
      restored.close()
    }
    return { replaced: switchTo(staged, into), carried, unread }
  } catch (error) {
    throw translateError(error, into)
  } finally {
    removeDatabase(staged)
    lock.release()
  }
}
