/**
 * The listener's identity that we make and renew ourselves, as two files: `identity.pem`, key and chain in one so that one
 * rename switches both, and `pending-key.pem`, the key of the next one. A pending key that is in use already was installed
 * by somebody who was cut off before tidying up.
 */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeDirectory, readIfThere, removeDurably, removeTemporaries, writeDurably } from '../durable-files.ts'
import { EverleafError, messageOf } from '../errors.ts'
import { createMutex } from '../mutex.ts'
import { type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import { encodePem } from '../protocol/pem.ts'
import type { ListenerIdentity, ListenerPair, ListenerSource } from './listener.ts'
import { checkPair, readKey, spkiOf } from './pair.ts'
import { createWatchers } from './watchers.ts'

interface Identity {
  pair: ListenerPair
  leaf: ParsedCertificate
}

const firstCertificate = '-----BEGIN CERTIFICATE-----'

const exportKey = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()

const readText = async (path: string): Promise<string | null> => {
  const bytes = await readIfThere(path)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

const readIdentity = async (path: string): Promise<Identity | null> => {
  const text = await readText(path)
  if (text === null) return null
  const border = text.indexOf(firstCertificate)
  const pair = { key: text.slice(0, Math.max(border, 0)), chain: text.slice(Math.max(border, 0)) }
  try {
    return { pair, leaf: checkPair(pair) }
  } catch (error) {
    throw new EverleafError('damaged', `${path}: ${messageOf(error)}; remove it and a new one is made`, {
      cause: error,
    })
  }
}

const readPending = async (path: string): Promise<KeyObject | null> => {
  const text = await readText(path)
  try {
    return text === null ? null : readKey(text)
  } catch (error) {
    throw new EverleafError('damaged', `${path}: ${messageOf(error)}; remove it and a new one is made`, {
      cause: error,
    })
  }
}

/** Opens the identity kept in `directory`, which is made with mode 0700. Throws `damaged` where what lies there does not fit together. */
export const openListenerDirectory = async (directory: string): Promise<ListenerIdentity & ListenerSource> => {
  const paths = { identity: join(directory, 'identity.pem'), pending: join(directory, 'pending-key.pem') }
  const serially = createMutex()
  const watchers = createWatchers()
  await makeDirectory(directory, 0o700)
  for (const path of Object.values(paths)) await removeTemporaries(path)
  let identity = await readIdentity(paths.identity)

  const inUse = (key: KeyObject): boolean => identity !== null && sameBytes(spkiOf(key), identity.leaf.spki)

  /** The key that a new chain belongs to: the pending one, or the present one whose certificate is renewed or was installed twice. */
  const keyFor = async (leaf: ParsedCertificate): Promise<string> => {
    const pending = await readPending(paths.pending)
    if (pending !== null && sameBytes(spkiOf(pending), leaf.spki)) return exportKey(pending)
    if (identity !== null && sameBytes(identity.leaf.spki, leaf.spki)) return identity.pair.key
    throw new EverleafError(
      'conflict',
      `${leaf.subjectText} (serial ${leaf.serial}) is not for the prepared key of the listener`,
    )
  }

  return {
    current: async () => identity?.leaf ?? null,
    read: () => identity?.pair ?? null,
    onChange: (callback) => watchers.add(callback),

    prepareKey: () =>
      serially(async () => {
        const pending = await readPending(paths.pending)
        if (pending !== null && !inUse(pending)) return spkiOf(pending)
        const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
        await writeDurably(paths.pending, exportKey(privateKey), { mode: 0o600 })
        return spkiOf(privateKey)
      }),

    install: (chain) =>
      serially(async () => {
        const [leafDer] = chain
        if (leafDer === undefined)
          throw new EverleafError('bad-input', 'listener: an empty chain, expected the leaf first')
        const key = await keyFor(parseCertificate(leafDer))
        const pair = { key, chain: chain.map((der) => encodePem('CERTIFICATE', der)).join('') }
        const leaf = checkPair(pair)
        await writeDurably(paths.identity, pair.key + pair.chain, { mode: 0o600 })
        identity = { pair, leaf }
        watchers.tell(pair)
        const pending = await readPending(paths.pending)
        if (pending !== null && inUse(pending)) await removeDurably(paths.pending)
      }),
  }
}
