import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { EverleafError } from '../../errors.ts'
import { translateError } from './errors.ts'
import { giveTo } from './files.ts'

const busy = 5

/**
 * Claims the database for this process until `release`. The lock is the kernel's, held through SQLite on an empty file
 * beside the database: it ends with the process however that ends, and leaves readers of the database alone.
 */
export function lockDatabase(file: string): { release(): void } {
  let lock: DatabaseSync | null = null
  try {
    const path = `${file}.lock`
    const created = !existsSync(path)
    lock = new DatabaseSync(path, { timeout: 0 })
    lock.exec('BEGIN EXCLUSIVE')
    if (created) giveTo(path, dirname(file))
    const held = lock
    return { release: () => held.close() }
  } catch (error) {
    lock?.close()
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === busy)
      throw new EverleafError('unavailable', `another Everleaf process has the database ${file} open; stop it first`)
    throw translateError(error, file)
  }
}
