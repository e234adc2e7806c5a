import { existsSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openLocalAuthorities } from '../authority/local.ts'
import type { Clock } from '../clock/clock.ts'
import { type Config, readSecret } from '../config.ts'
import { makeDirectory } from '../durable-files.ts'
import { EverleafError, messageOf } from '../errors.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import type { Random } from '../random/random.ts'
import { type RestoreResult, restoreSqlite } from '../store/restore.ts'
import { backupPath } from './backup-directory.ts'
import { createOnce } from './create-once.ts'
import { authorityDirectory } from './initialise.ts'

export interface Restored extends RestoreResult {
  database: string
  /** Files of CAs that were missing here. */
  authorities: string[]
  /** Why the CA keys do not open here yet; null: they do. */
  keys: string | null
}

interface RestorePorts {
  clock: Clock
  random: Random
  progress: (done: number, total: number) => void
  /** The configuration as it is read once the backup's is in place. */
  reload?: () => Config
}

/**
 * Puts a backup's database in place of the one here, and beside it what of CAs, configuration and admin token is missing.
 * What is here stays: another CA than the backup's is a `conflict`, found before anything is changed. The CAs come first,
 * so that cut off in between it can be run again.
 */
export async function restoreFrom(config: Config, directory: string, ports: RestorePorts): Promise<Restored> {
  const names = await authoritiesIn(directory, backupPath(directory, 'database'))
  const adopted = await adoptConfig(config, directory)
  try {
    return await putBack((adopted && ports.reload?.()) || config, { directory, names }, ports)
  } catch (error) {
    if (adopted !== null) await rm(adopted, { force: true })
    throw error
  }
}

/** First of all, since it may name another place for the database: one put where nobody looks would be replaced by an empty one. */
async function adoptConfig(config: Config, directory: string): Promise<string | null> {
  const saved = backupPath(directory, 'config')
  if (config.file !== null || !existsSync(saved)) return null
  const path = join(config.data, 'everleaf.yaml')
  return (await createOnce(path, await readFile(saved), 0o644)) ? path : null
}

async function putBack(
  config: Config,
  { directory, names }: { directory: string; names: readonly string[] },
  { clock, random, progress }: RestorePorts,
): Promise<Restored> {
  const missing = await missingFrom(config, directory, names)
  await makeDirectory(config.data, 0o700)
  await makeDirectory(dirname(config.store.file), 0o700)
  // Keys before certificates: a CA counts as there by its certificate.
  for (const name of missing.toSorted(keysFirst))
    await createOnce(
      join(authorityDirectory(config), name),
      await readFile(join(backupPath(directory, 'authority'), name)),
    )
  const from = backupPath(directory, 'database')
  const result = await restoreSqlite({ from, into: config.store.file, clock, progress })
  await createOnce(config.listen.admin.tokenFile, `${encodeBase64Url(random.bytes(32))}\n`)
  return { ...result, database: config.store.file, authorities: missing, keys: await whyClosed(config, clock) }
}

const isKey = (name: string): boolean => name.endsWith('.key.pem')
const keysFirst = (left: string, right: string): number => Number(isKey(right)) - Number(isKey(left))

async function authoritiesIn(directory: string, database: string): Promise<string[]> {
  const folder = backupPath(directory, 'authority')
  for (const path of [database, folder])
    if (!existsSync(path)) throw new EverleafError('bad-input', `${directory} is no backup: ${path} is missing`)
  return (await readdir(folder)).filter((name) => name.endsWith('.pem'))
}

/** Keys may be encrypted anew at any time, so certificates alone tell whether it is the same CA. */
async function missingFrom(config: Config, directory: string, names: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  for (const name of names) {
    const here = join(authorityDirectory(config), name)
    const saved = join(backupPath(directory, 'authority'), name)
    if (!existsSync(here)) missing.push(name)
    else if (!isKey(name) && !(await readFile(here)).equals(await readFile(saved)))
      throw new EverleafError('conflict', `${here} is another CA than ${saved}; nothing was changed`)
  }
  return missing
}

async function whyClosed(config: Config, clock: Clock): Promise<string | null> {
  try {
    const passphrase = readSecret(config.authority.passphrase, 'authority.passphrase')
    await openLocalAuthorities({ directory: authorityDirectory(config), passphrase, clock })
    return null
  } catch (error) {
    return messageOf(error)
  }
}
