import { basename, dirname } from 'node:path'
import { type FileSystem, fileError, writeDurably } from '../durable-files.ts'
import type { Artefact } from './publication.ts'

const versionsOf = async (path: string, files: FileSystem): Promise<bigint[]> => {
  const prefix = `${basename(path)}.v`
  return (await files.readdir(dirname(path)))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => BigInt(name.slice(prefix.length)))
    .sort((a, b) => (a < b ? 1 : -1))
}

/** Keeps a truststore that is about to be replaced as `<path>.v<version>` and drops all but the newest `history`. CRLs are not kept. */
export const keepOldVersion = async (
  path: string,
  live: Artefact,
  { history, files }: { history: number; files: FileSystem },
): Promise<void> => {
  if (live.manifest === null || !path.endsWith('.pem') || history < 1) return
  await writeDurably(`${path}.v${live.manifest.version}`, live.bytes, { files })
  try {
    const versions = await versionsOf(path, files)
    for (const version of versions.slice(history)) await files.rm(`${path}.v${version}`, { force: true })
  } catch (error) {
    throw fileError(error, `clearing old versions of ${path}`)
  }
}
