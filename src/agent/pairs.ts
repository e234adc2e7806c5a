import type { KeyObject } from 'node:crypto'
import { type AgentCertificate, describe, parseCertificate, toPem } from './certificate.ts'
import type { Disk } from './disk.ts'
import { decodeOwnPem } from './encoding.ts'
import { AgentError, reasonOf } from './error.ts'
import { makeDirectory, privateMode, publicMode, readText, removeTree, switchLink, writeFile } from './files.ts'
import { readKey } from './keys.ts'
import { layout, pairFiles } from './layout.ts'

/** A key with its certificate and the chain up to, and without, the root. */
export interface Pair {
  number: number
  keyPem: string
  key: KeyObject
  leaf: AgentCertificate
  /** Leaf first. */
  chain: readonly AgentCertificate[]
  chainPem: string
}

export interface Place {
  disk: Disk
  directory: string
}

const need = (disk: Disk, path: string): string => {
  const text = readText(disk, path)
  if (text === null) throw new AgentError('local', `${path} is missing`)
  return text
}

/** The private key of a pair that may have no certificate yet; null when it was never written. */
export const loadKey = ({ disk, directory }: Place, number: number): { pem: string; key: KeyObject } | null => {
  const path = pairFiles.key(layout.pair(directory, number))
  const pem = readText(disk, path)
  return pem === null ? null : { pem, key: readKey(pem, path) }
}

const parseChain = (text: string, path: string): AgentCertificate[] => {
  try {
    return decodeOwnPem(text).map((der) => parseCertificate(der, path))
  } catch (error) {
    throw new AgentError('local', `${path} is damaged: ${reasonOf(error)}`, { cause: error })
  }
}

/** A complete pair whose key and certificate belong together; else AgentError `local` says what is wrong. */
export const loadPair = (place: Place, number: number): Pair => {
  const { disk, directory } = place
  const path = layout.pair(directory, number)
  const held = loadKey(place, number)
  if (held === null) throw new AgentError('local', `${pairFiles.key(path)} is missing`)
  const leafPem = need(disk, pairFiles.certificate(path))
  const chainPem = need(disk, pairFiles.chain(path))
  const chain = parseChain(chainPem, pairFiles.chain(path))
  const [leaf] = chain
  if (leaf === undefined || leafPem !== toPem([leaf])) {
    throw new AgentError(
      'local',
      `${pairFiles.certificate(path)} is not the first certificate of ${pairFiles.chain(path)}`,
    )
  }
  if (!leaf.x509.checkPrivateKey(held.key)) {
    throw new AgentError('local', `${path}: the key does not belong to the certificate ${describe(leaf)}`)
  }
  return { number, keyPem: held.pem, key: held.key, leaf, chain, chainPem }
}

/** The number of the pair that `current` names; null: nothing was enrolled yet. */
export const currentNumber = ({ disk, directory }: Place): number | null => {
  const target = disk.readLink(layout.current(directory))
  if (target === null) return null
  const match = /^pairs\/(\d{1,9})$/.exec(target)
  if (match === null)
    throw new AgentError('local', `${layout.current(directory)} names ${target}, expected pairs/<number>`)
  return Number(match[1])
}

const numbers = ({ disk, directory }: Place): number[] =>
  disk
    .list(layout.pairs(directory))
    .filter((name) => /^\d{1,9}$/.test(name))
    .map(Number)

/** Makes the next pair's directory with its key in it; durable on return. */
export const writeKey = (place: Place, pem: string): number => {
  const { disk, directory } = place
  const number = Math.max(0, ...numbers(place)) + 1
  makeDirectory(disk, layout.pairs(directory))
  makeDirectory(disk, layout.pair(directory, number))
  writeFile(disk, pairFiles.key(layout.pair(directory, number)), pem, privateMode)
  return number
}

/** Adds certificate and chain to a pair that nobody uses yet; durable on return. */
export const writeChain = ({ disk, directory }: Place, number: number, chain: readonly AgentCertificate[]): void => {
  const path = layout.pair(directory, number)
  writeFile(disk, pairFiles.certificate(path), toPem(chain.slice(0, 1)), publicMode)
  writeFile(disk, pairFiles.chain(path), toPem(chain), publicMode)
}

/** Makes a pair the current one, in one rename; refuses one that is not complete. */
export const switchTo = (place: Place, number: number): void => {
  loadPair(place, number)
  switchLink(place.disk, layout.current(place.directory), `pairs/${number}`)
}

/** Removes every pair but those in `keep`. */
export const prune = (place: Place, keep: readonly (number | null)[]): void => {
  for (const number of numbers(place)) {
    if (!keep.includes(number)) removeTree(place.disk, layout.pair(place.directory, number))
  }
}

/** The complete pair that ends last; null: there is none. For a `current` that is damaged. */
export const bestPair = (place: Place): Pair | null => {
  const pairs = numbers(place).flatMap((number) => {
    try {
      return [loadPair(place, number)]
    } catch {
      return []
    }
  })
  return pairs.sort((one, other) => other.leaf.notAfter - one.leaf.notAfter)[0] ?? null
}
