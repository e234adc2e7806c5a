import { existsSync } from 'node:fs'
import { link, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCodeOf, fileError, flushDirectory, makeDirectory, temporaryFor, writeFlushed } from '../durable-files.ts'

/**
 * Writes a file that is not there yet, whole; one that is there stays as it is, also when two run at once. Whether it
 * was this call.
 */
export async function createOnce(path: string, bytes: string | Uint8Array, mode = 0o600): Promise<boolean> {
  if (existsSync(path)) return false
  await makeDirectory(dirname(path), 0o700)
  const temporary = temporaryFor(path)
  try {
    await writeFlushed(temporary, bytes, mode)
    await link(temporary, path)
    await flushDirectory(dirname(path))
    return true
  } catch (error) {
    if (errorCodeOf(error) === 'EEXIST') return false
    throw fileError(error, `writing ${path}`)
  } finally {
    await rm(temporary, { force: true })
  }
}
