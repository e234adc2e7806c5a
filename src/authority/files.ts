/** The folder of the local authorities: `<id>.certificate.pem` and `<id>.key.pem`, ids such as `root-g1` and `issuing-g2`. */
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { errorCodeOf, fileError, flushDirectory, makeDirectory, readIfThere, writeFlushed } from '../durable-files.ts'
import { EverleafError } from '../errors.ts'

export interface AuthorityFiles {
  id: string
  certificate: string
  /** PEM of the encrypted key; null: it is kept elsewhere. */
  key: string | null
}

const certificateName = /^([a-z0-9]+(?:-[a-z0-9]+)*)\.certificate\.pem$/

export const certificateFile = (directory: string, id: string): string => join(directory, `${id}.certificate.pem`)
export const keyFile = (directory: string, id: string): string => join(directory, `${id}.key.pem`)

const readText = async (path: string): Promise<string | null> => {
  const bytes = await readIfThere(path)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

const listNames = async (directory: string): Promise<string[]> => {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return []
    throw fileError(error, `reading ${directory}`)
  }
}

/** Every authority whose certificate lies in the folder, by id. Throws `configuration` where there is none. */
export const readAuthorityFiles = async (directory: string): Promise<AuthorityFiles[]> => {
  const ids = (await listNames(directory)).flatMap((name) => certificateName.exec(name)?.[1] ?? []).sort()
  if (ids.length === 0)
    throw new EverleafError('configuration', `${directory} holds no authority; make one with: everleaf init`)
  return Promise.all(
    ids.map(async (id) => ({
      id,
      certificate: (await readText(certificateFile(directory, id))) ?? '',
      key: await readText(keyFile(directory, id)),
    })),
  )
}

/** Throws `conflict` where the folder holds anything: an authority is never overwritten. */
export const refuseUsedFolder = async (directory: string): Promise<void> => {
  const [name] = await listNames(directory)
  if (name !== undefined)
    throw new EverleafError('conflict', `${directory} is not empty (${name}); an authority is never overwritten`)
}

/** All of them or none: written into a folder beside, which is renamed. Modes 0700 and 0600. */
export const writeAuthorityFiles = async (directory: string, authorities: readonly AuthorityFiles[]): Promise<void> => {
  const target = resolve(directory)
  await refuseUsedFolder(target)
  await makeDirectory(dirname(target), 0o700)
  const aside = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`)
  try {
    await mkdir(aside, { mode: 0o700 })
    await chmod(aside, 0o700)
    for (const { id, certificate, key } of authorities) {
      await writeFlushed(certificateFile(aside, id), certificate, 0o600)
      if (key !== null) await writeFlushed(keyFile(aside, id), key, 0o600)
    }
    await flushDirectory(aside)
    // Refused by the system where somebody filled the folder meanwhile.
    await rename(aside, target)
    await flushDirectory(dirname(target))
  } catch (error) {
    // What went wrong first is what matters.
    await rm(aside, { recursive: true, force: true }).catch(() => undefined)
    const code = errorCodeOf(error)
    if (code === 'ENOTEMPTY' || code === 'EEXIST') await refuseUsedFolder(target)
    throw fileError(error, `writing ${target}`)
  }
}
