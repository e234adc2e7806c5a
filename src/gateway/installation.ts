/**
 * The two files of a command gateway. While an attempt runs, `<truststore>.applying` says so and names the previous files
 * by digest; they lie beside the installed ones as `….previous`. Whoever finds the marker knows that what is installed was never proven.
 */
import { dirname } from 'node:path'
import {
  type FileSystem,
  fileError,
  flushDirectory,
  makeDirectory,
  readIfThere,
  realFileSystem,
  removeDurably,
  removeTemporaries,
  temporaryFor,
  writeDurably,
  writeFlushed,
} from '../durable-files.ts'
import { EverleafError } from '../errors.ts'
import { sha256Hex } from '../pki/digest.ts'

/** Digests of the two files; null: there is none. */
export interface Digests {
  truststore: string | null
  crl: string | null
}

type Which = keyof Digests

export interface Installation {
  installed(): Promise<Digests>
  /** The known good files of an attempt that is not over; null: none is under way, the installed ones are good. */
  underWay(): Promise<Digests | null>
  /** Keeps the installed files aside, unless an attempt was cut off: then those kept by it are the good ones. Returns them. */
  begin(): Promise<Digests>
  install(truststore: string, crl: string): Promise<void>
  /** Puts the files kept aside back; where there were none, removes what was installed. */
  goBack(): Promise<void>
  /** What is installed now is good. */
  end(): Promise<void>
}

const digestOf = (bytes: Uint8Array | null): string | null => (bytes === null ? null : sha256Hex(bytes))

const isDigest = (value: unknown): value is string | null =>
  value === null || (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value))

const readMarker = (bytes: Uint8Array): Digests | null => {
  try {
    const { truststore, crl } = JSON.parse(new TextDecoder().decode(bytes))
    return isDigest(truststore) && isDigest(crl) ? { truststore, crl } : null
  } catch {
    return null
  }
}

export const createInstallation = (
  paths: { truststore: string; crl: string },
  files: FileSystem = realFileSystem,
): Installation => {
  const marker = `${paths.truststore}.applying`
  const kept = { truststore: `${paths.truststore}.previous`, crl: `${paths.crl}.previous` }

  const installed = async (): Promise<Digests> => ({
    truststore: digestOf(await readIfThere(paths.truststore, files)),
    crl: digestOf(await readIfThere(paths.crl, files)),
  })

  const underWay = async (): Promise<Digests | null> => {
    const bytes = await readIfThere(marker, files)
    if (bytes === null) return null
    const previous = readMarker(bytes)
    if (previous === null)
      throw new EverleafError('damaged', `${marker} cannot be read: check the files beside it, then remove it`)
    return previous
  }

  const keepAside = async (which: Which): Promise<string | null> => {
    const bytes = await readIfThere(paths[which], files)
    if (bytes === null) await removeDurably(kept[which], files)
    else await writeDurably(kept[which], bytes, { files })
    return digestOf(bytes)
  }

  /** Both are on the disk before either is switched. */
  const place = async (contents: Record<Which, string>, order: readonly Which[]): Promise<void> => {
    const asides = new Map<Which, string>()
    try {
      for (const which of order) {
        const aside = temporaryFor(paths[which])
        asides.set(which, aside)
        await writeFlushed(aside, contents[which], 0o644, files)
      }
      for (const [which, aside] of asides) {
        await files.rename(aside, paths[which])
        await flushDirectory(dirname(paths[which]), files)
      }
    } catch (error) {
      // What went wrong first is what matters; leftovers are removed by the next attempt.
      for (const aside of asides.values()) await files.rm(aside, { force: true }).catch(() => undefined)
      throw fileError(error, `installing ${order.map((which) => paths[which]).join(' and ')}`)
    }
  }

  /** By rename, which works on a full disk too. */
  const putBack = async (which: Which, digest: string | null): Promise<void> => {
    if (digestOf(await readIfThere(paths[which], files)) === digest) return
    if (digest === null) return removeDurably(paths[which], files)
    const found = digestOf(await readIfThere(kept[which], files))
    if (found !== digest)
      throw new EverleafError('damaged', `${kept[which]} has SHA-256 ${found ?? '(no file)'}, expected ${digest}`)
    try {
      await files.rename(kept[which], paths[which])
      await flushDirectory(dirname(paths[which]), files)
    } catch (error) {
      throw fileError(error, `putting ${paths[which]} back`)
    }
  }

  return {
    installed,
    underWay,

    async begin() {
      for (const path of [paths.truststore, paths.crl]) {
        await makeDirectory(dirname(path), 0o755, files)
        await removeTemporaries(path, files)
      }
      const cutOff = await underWay()
      if (cutOff !== null) return cutOff
      const previous = { truststore: await keepAside('truststore'), crl: await keepAside('crl') }
      await writeDurably(marker, JSON.stringify(previous), { files })
      return previous
    },

    // CRL first: one CRL too many harms nobody, an anchor without its CRL refuses everybody.
    install: (truststore, crl) => place({ truststore, crl }, ['crl', 'truststore']),

    async goBack() {
      const previous = await underWay()
      if (previous === null) throw new EverleafError('internal', `${marker} is missing during an attempt`)
      await putBack('truststore', previous.truststore)
      await putBack('crl', previous.crl)
    },

    end: () => removeDurably(marker, files),
  }
}
