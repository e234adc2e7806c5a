import { dirname, join } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import {
  type FileSystem,
  makeDirectory,
  readIfThere,
  realFileSystem,
  removeTemporaries,
  writeDurably,
} from '../durable-files.ts'
import { EverleafError } from '../errors.ts'
import type { Duration } from '../model.ts'
import { createMutex } from '../mutex.ts'
import { sha256Hex } from '../pki/digest.ts'
import { keepOldVersion } from './history.ts'
import { checkKey, manifestSuffix } from './key.ts'
import { underLock } from './lock.ts'
import { checkManifest, encodeManifest, readManifest } from './manifest.ts'
import type { Artefact, Publication } from './publication.ts'

export interface DirectoryPublicationOptions {
  directory: string
  /** How it is called in messages. */
  name?: string
  clock: Clock
  /** How many old versions of each truststore stay beside it as `<key>.v<version>`, for people to look at. */
  history?: number
  /** How long a put waits for another process. */
  lockTimeout?: Duration
  files?: FileSystem
}

/**
 * Artefacts as files, each with `<key>.manifest.json` beside it. The artefact is written first: a crash between the two
 * leaves a manifest that does not match, which `get` reports as null. Failures of the disk are `unavailable`.
 */
export const createDirectoryPublication = (options: DirectoryPublicationOptions): Publication => {
  const { directory, name = 'directory', clock, history = 10, lockTimeout = 10_000, files = realFileSystem } = options
  const serially = createMutex()
  const pathOf = (key: string): string => join(directory, ...key.split('/'))

  const manifestOf = async (key: string) => readManifest(await readIfThere(`${pathOf(key)}${manifestSuffix}`, files))

  const read = async (key: string): Promise<Artefact | null> => {
    const bytes = await readIfThere(pathOf(key), files)
    if (bytes === null) return null
    const version = sha256Hex(bytes)
    const manifest = await manifestOf(key)
    return { bytes, version, manifest: manifest?.sha256 === version ? manifest : null }
  }

  const alone = <Result>(work: () => Promise<Result>): Promise<Result> =>
    serially(async () => {
      await makeDirectory(directory, 0o755, files)
      return underLock(join(directory, '.lock'), { clock, timeout: lockTimeout }, work)
    })

  return {
    name,

    async get(key) {
      checkKey(key)
      const found = await read(key)
      // A put under way in this process explains a mismatch: look again after it.
      return found === null || found.manifest !== null ? found : serially(() => read(key))
    },

    async manifest(key) {
      checkKey(key)
      return manifestOf(key)
    },

    async put(key, bytes, manifest, ifVersion) {
      checkKey(key)
      checkManifest(key, bytes, manifest, null)
      return alone(async () => {
        const path = pathOf(key)
        const live = await read(key)
        if ((live?.version ?? null) !== ifVersion)
          throw new EverleafError(
            'conflict',
            `${key} changed meanwhile: expected ${ifVersion ?? 'nothing'}, found ${live?.version ?? 'nothing'}`,
          )
        checkManifest(key, bytes, manifest, await manifestOf(key))
        await makeDirectory(dirname(path), 0o755, files)
        await removeTemporaries(path, files)
        if (live !== null) await keepOldVersion(path, live, { history, files })
        await writeDurably(path, bytes, { files })
        await writeDurably(`${path}${manifestSuffix}`, encodeManifest(manifest), { files })
        return manifest.sha256
      })
    },
  }
}
