import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import { readIfThere } from '../durable-files.ts'
import { EverleafError, messageOf } from '../errors.ts'
import type { Duration } from '../model.ts'
import { createMutex } from '../mutex.ts'
import type { ParsedCertificate } from '../pki/certificate.ts'
import { sha256Hex } from '../pki/digest.ts'
import type { ListenerPair, ListenerSource } from './listener.ts'
import { checkPair } from './pair.ts'
import { createWatchers } from './watchers.ts'

export interface WatchListenerFilesOptions {
  /** PEM files: a private key without passphrase, and the chain, leaf first. */
  key: string
  chain: string
  clock: Clock
  /** Told once about each state of the files that cannot be used; the pair before stays in use. */
  onProblem: (message: string) => void
  /** Looked at this often even where the system tells of no change, as on network file systems. */
  interval?: Duration
}

/** A pair given by files and not ours to renew. */
export interface WatchedListenerFiles extends ListenerSource {
  current(): Promise<ParsedCertificate | null>
  /** Looks at the files now; for a signal handler and for tests. */
  check(): Promise<void>
  stop(): Promise<void>
}

interface Seen extends ListenerPair {
  digest: string
}

const iso = (instant: number): string => new Date(instant).toISOString()

const readFiles = async (paths: { key: string; chain: string }): Promise<Seen> => {
  const [key, chain] = await Promise.all([readIfThere(paths.key), readIfThere(paths.chain)])
  const missing = key === null ? paths.key : chain === null ? paths.chain : null
  const decoder = new TextDecoder()
  const pair = { key: decoder.decode(key ?? new Uint8Array()), chain: decoder.decode(chain ?? new Uint8Array()) }
  const digest = sha256Hex(new TextEncoder().encode(JSON.stringify(pair)))
  if (missing !== null) throw new EverleafError('bad-input', `${missing} is not there`)
  return { ...pair, digest }
}

/**
 * Reads key and chain, and again whenever they change. A pair that is broken, mismatched or out of date is refused and the
 * one in use stays. Throws `configuration` where there is no usable pair to begin with; an expired one is used then, and told of.
 */
export const watchListenerFiles = async (options: WatchListenerFilesOptions): Promise<WatchedListenerFiles> => {
  const { clock, onProblem, interval = 10_000 } = options
  const watchers = createWatchers()
  const serially = createMutex()
  const where = `listener certificate ${options.chain} with key ${options.key}`
  const life = ({ notBefore, notAfter }: ParsedCertificate) =>
    `valid from ${iso(notBefore)} to ${iso(notAfter)}, now is ${iso(clock.now())}`
  const isValid = ({ notBefore, notAfter }: ParsedCertificate) => notBefore <= clock.now() && clock.now() <= notAfter

  const begin = async () => {
    try {
      const seen = await readFiles(options)
      return { seen, leaf: checkPair(seen) }
    } catch (error) {
      throw new EverleafError('configuration', `${where}: ${messageOf(error)}`, { cause: error })
    }
  }
  let used = await begin()
  let told = ''
  if (!isValid(used.leaf)) onProblem(`${where}: ${life(used.leaf)}; devices will refuse it`)

  const tellOnce = (message: string): void => {
    if (message !== told) onProblem(message)
    told = message
  }

  const check = (): Promise<void> =>
    serially(async () => {
      try {
        const seen = await readFiles(options)
        if (seen.digest === used.seen.digest) {
          told = ''
          return
        }
        const leaf = checkPair(seen)
        if (!isValid(leaf)) throw new EverleafError('bad-input', life(leaf))
        used = { seen, leaf }
        told = ''
      } catch (error) {
        tellOnce(`${where}: ${messageOf(error)}; the certificate of serial ${used.leaf.serial} stays in use`)
        return
      }
      watchers.tell({ key: used.seen.key, chain: used.seen.chain })
    })

  /** Whoever is told of the new pair may fail; the next look must come all the same. */
  const look = (): Promise<void> => check().catch((error) => tellOnce(`${where}: ${messageOf(error)}`))

  const stopped = new AbortController()
  const poll = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await clock.sleep(interval, stopped.signal)
      await look()
    }
  }
  // Ends by the abort alone.
  const polling = poll().catch(() => undefined)
  const folders = watchFolders([dirname(options.key), dirname(options.chain)], () => void look())

  return {
    read: () => ({ key: used.seen.key, chain: used.seen.chain }),
    onChange: (callback) => watchers.add(callback),
    current: async () => used.leaf,
    check,
    async stop() {
      stopped.abort(new Error('stopped'))
      for (const folder of folders) folder.close()
      await polling
      await serially(async () => undefined)
    },
  }
}

/** Folders, not files: whoever replaces a file by rename leaves a watch on the old one. Where none is possible, polling is enough. */
const watchFolders = (folders: readonly string[], onChange: () => void): FSWatcher[] =>
  [...new Set(folders)].flatMap((folder) => {
    try {
      const watcher = watch(folder, { persistent: false }, onChange)
      watcher.on('error', () => watcher.close())
      return [watcher]
    } catch {
      return []
    }
  })
