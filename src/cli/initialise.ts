import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { initialiseLocalAuthorities, openLocalAuthorities } from '../authority/local.ts'
import type { Clock } from '../clock/clock.ts'
import { configTemplate } from '../config/template.ts'
import { type Config, readSecret } from '../config.ts'
import { errorCodeOf, fileError, makeDirectory } from '../durable-files.ts'
import { EverleafError } from '../errors.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import type { Random } from '../random/random.ts'
import { openSqlite } from '../store/sqlite.ts'
import { createOnce } from './create-once.ts'

export interface Initialised {
  data: string
  /** The configuration that was written, or was there. */
  config: string
  /** SHA-256 of the root certificate's DER, lower-case hexadecimal. */
  fingerprint: string
}

export const authorityDirectory = (config: Config): string => join(config.data, 'authority')

const hasAuthority = async (config: Config): Promise<boolean> => {
  try {
    return (await readdir(authorityDirectory(config))).length > 0
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return false
    throw fileError(error, `reading ${authorityDirectory(config)}`)
  }
}

/** The database is made last: where it is, everything is. */
export const isInitialised = async (config: Config): Promise<boolean> =>
  existsSync(config.store.file) && (await hasAuthority(config))

/**
 * Makes what a server needs: directory, passphrase, admin token, configuration, CAs, database, in this order, each whole
 * or not at all. Cut off in between it is run again and goes on. `conflict` where everything is there already.
 */
export async function initialise(
  config: Config,
  { clock, random }: { clock: Clock; random: Random },
): Promise<Initialised> {
  if (await isInitialised(config))
    throw new EverleafError('conflict', `${config.data} holds a CA and a database already; nothing was changed`)
  const madeBefore = await hasAuthority(config)
  refuseHalves(config, madeBefore)
  await makeDirectory(config.data, 0o700)
  const { passphrase } = config.authority
  if ('file' in passphrase) await createOnce(passphrase.file, `${encodeBase64Url(random.bytes(32))}\n`)
  await createOnce(config.listen.admin.tokenFile, `${encodeBase64Url(random.bytes(32))}\n`)
  const file = config.file ?? join(config.data, 'everleaf.yaml')
  await createOnce(file, configTemplate, 0o644)
  const secret = readSecret(passphrase, 'authority.passphrase')
  const directory = authorityDirectory(config)
  const { name, root, issuing } = config.authority
  const publicUrl = config.listen.public.url
  if (!madeBefore)
    await initialiseLocalAuthorities({ directory, name, root, issuing, passphrase: secret, publicUrl, clock, random })
  // Proves that the keys open with what is on disk, before anything is issued from them.
  const authorities = await openLocalAuthorities({ directory, passphrase: secret, clock })
  await makeDirectory(dirname(config.store.file), 0o700)
  const store = await openSqlite({ file: config.store.file, clock })
  await store.close()
  return { data: config.data, config: file, fingerprint: authorities.issuing.chain.at(-1)?.fingerprint ?? '' }
}

/** A part that is missing beside one that it belongs to was lost, and a new one would not fit. */
function refuseHalves({ store, authority, data, publication }: Config, hasAuthorities: boolean): void {
  if (existsSync(store.file) && !hasAuthorities)
    throw new EverleafError('conflict', `${store.file} is there without its CAs: put ${join(data, 'authority')} back`)
  // What published has served: an empty inventory would refuse every device and forget who was retired.
  if (hasAuthorities && !existsSync(store.file) && existsSync(join(publication.directory, 'truststore')))
    throw new EverleafError(
      'conflict',
      `${store.file} is gone and its CAs have served: put it back, or a backup by "everleaf restore"`,
    )
  const { passphrase } = authority
  if (hasAuthorities && 'file' in passphrase && !existsSync(passphrase.file))
    throw new EverleafError(
      'conflict',
      `the CAs in ${data} are there without their passphrase: put ${passphrase.file} back`,
    )
}
