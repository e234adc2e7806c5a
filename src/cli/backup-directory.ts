import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { readAuthorityFiles } from '../authority/files.ts'
import type { Config } from '../config.ts'
import { errorCodeOf, fileError, flushDirectory, makeDirectory, temporaryFor, writeFlushed } from '../durable-files.ts'
import { EverleafError } from '../errors.ts'
import { backupSqlite } from '../store/backup.ts'
import { authorityDirectory } from './initialise.ts'

/** A backup's own names. */
export const backupNames = { database: 'everleaf.db', authority: 'authority', config: 'everleaf.yaml' }

export interface MadeBackup {
  directory: string
  files: string[]
}

/** Copies into a directory that appears under its name when it is complete. `conflict` where it exists. */
export async function backUp(
  config: Config,
  directory: string,
  progress: (done: number, total: number) => void,
): Promise<MadeBackup> {
  const target = resolve(directory)
  await refuseExisting(target)
  await refuseWithoutIssuer(authorityDirectory(config))
  await makeDirectory(dirname(target))
  const aside = temporaryFor(target)
  try {
    await mkdir(aside, { mode: 0o700 })
    const calls = join(target, backupNames.database)
    await backupSqlite({ file: config.store.file, to: join(aside, backupNames.database), calls, progress })
    const authorities = await copyFolder(authorityDirectory(config), join(aside, backupNames.authority))
    const files = [backupNames.database, ...authorities.map((name) => join(backupNames.authority, name))]
    if (config.file !== null) {
      await copyPrivately(config.file, join(aside, backupNames.config))
      files.push(backupNames.config)
    }
    await flushDirectory(aside)
    await rename(aside, target)
    await flushDirectory(dirname(target))
    return { directory: target, files }
  } catch (error) {
    throw fileError(error, `writing the backup ${target}`)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** Without the key of an issuing CA nothing that the inventory knows can ever be renewed. The root's may be kept elsewhere. */
async function refuseWithoutIssuer(directory: string): Promise<void> {
  const authorities = await readAuthorityFiles(directory)
  if (!authorities.some(({ id, key }) => id.startsWith('issuing') && key !== null))
    throw new EverleafError('configuration', `${directory} holds no issuing CA with its key; this would be no backup`)
}

async function refuseExisting(target: string): Promise<void> {
  try {
    const names = await readdir(target)
    throw new EverleafError('conflict', `${target} exists already (${names.length} files); name a new directory`)
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw fileError(error, `looking at ${target}`)
  }
}

const copyPrivately = async (from: string, to: string): Promise<void> => writeFlushed(to, await readFile(from), 0o600)

/** Names of what was copied. The keys in it are encrypted. */
async function copyFolder(from: string, to: string): Promise<string[]> {
  await mkdir(to, { mode: 0o700 })
  const names = (await readdir(from)).filter((name) => !name.startsWith('.')).sort()
  for (const name of names) await copyPrivately(join(from, name), join(to, name))
  await flushDirectory(to)
  return names
}

export const backupPath = (directory: string, name: keyof typeof backupNames): string =>
  join(resolve(directory), basename(backupNames[name]))
