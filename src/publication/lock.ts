import { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../clock/clock.ts'
import { EverleafError, messageOf } from '../errors.ts'
import type { Duration } from '../model.ts'

const pause: Duration = 20
const sqliteBusy = 5

const isBusy = (error: unknown): boolean =>
  error instanceof Error &&
  'errcode' in error &&
  typeof error.errcode === 'number' &&
  error.errcode % 256 === sqliteBusy

const lock = (path: string): DatabaseSync | null => {
  const database = new DatabaseSync(path)
  try {
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw error
  }
}

/**
 * Runs `work` while no other process of this machine runs any under the same lock file. The lock is the kernel's, taken by
 * way of an empty SQLite file: it ends with its holder, so none is ever stale and none is taken over from the living.
 */
export const underLock = async <Result>(
  path: string,
  { clock, timeout }: { clock: Clock; timeout: Duration },
  work: () => Promise<Result>,
): Promise<Result> => {
  const deadline = clock.now() + timeout
  let held: DatabaseSync | null
  try {
    for (held = lock(path); held === null && clock.now() < deadline; held = lock(path)) await clock.sleep(pause)
  } catch (error) {
    throw new EverleafError('unavailable', `taking the lock ${path}: ${messageOf(error)}`, { cause: error })
  }
  if (held === null)
    throw new EverleafError('unavailable', `another process has held the lock ${path} for ${timeout} ms`)
  try {
    return await work()
  } finally {
    held.close()
  }
}
