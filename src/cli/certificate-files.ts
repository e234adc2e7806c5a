import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EverleafError, isEverleafError, messageOf } from '../errors.ts'
import { createProgress } from './progress.ts'
import type { Session } from './session.ts'

/** At most this much PEM text in one request. */
const chunkLimit = 4 * 1024 * 1024
const largestFile = 64 * 1024 * 1024

const isCertificateFile = (name: string): boolean => /\.(?:pem|crt|cer|cert)$/i.test(name)

/** The files named, and those with a certificate's ending in the directories named. */
async function filesAt(path: string): Promise<string[]> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) return [path]
    const names = (await readdir(path)).filter(isCertificateFile).sort()
    if (names.length > 0) return names.map((name) => join(path, name))
  } catch (error) {
    throw new EverleafError('bad-input', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
  throw new EverleafError('bad-input', `${path} holds no .pem, .crt, .cer or .cert file`)
}

async function textOf(file: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > largestFile) throw new EverleafError('bad-input', `${file} has ${size} bytes; at most ${largestFile}`)
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isEverleafError(error)) throw error
    throw new EverleafError('bad-input', `cannot read ${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** Pieces of whole PEM blocks, each small enough for one request. */
export function chunksOf(pem: string, limit = chunkLimit): string[] {
  const blocks = pem.match(/[\s\S]*?-----END [A-Z0-9 ]+-----\r?\n?|[\s\S]+$/g) ?? ['']
  const chunks: string[] = []
  for (const block of blocks) {
    const last = chunks.at(-1)
    // What follows the last block is no block of its own.
    if (last !== undefined && (last.length + block.length <= limit || block.trim() === ''))
      chunks[chunks.length - 1] = last + block
    else chunks.push(block)
  }
  return chunks
}

export interface ImportAnswer {
  imported: string[]
  duplicates: string[]
}

/**
 * Sends every file to the server. What is wrong with one names it; those before it are in already, and told as
 * duplicates next time.
 */
export async function importFiles(paths: readonly string[], source: string, session: Session): Promise<ImportAnswer> {
  const files = (await Promise.all(paths.map(filesAt))).flat()
  const client = session.client()
  const progress = createProgress('importing files', session.terminal)
  const answer: ImportAnswer = { imported: [], duplicates: [] }
  for (const [index, file] of files.entries()) {
    try {
      for (const pem of chunksOf(await textOf(file))) {
        const { imported, duplicates } = await client.post<ImportAnswer>('certificates/import', { pem, source })
        answer.imported.push(...imported)
        answer.duplicates.push(...duplicates)
      }
    } catch (error) {
      progress.end()
      if (isEverleafError(error, 'unavailable')) throw error
      throw new EverleafError(
        'bad-input',
        `${file}: ${messageOf(error)}${index > 0 ? ` (${index} files before it are in)` : ''}`,
        {
          cause: error,
        },
      )
    }
    progress.show(index + 1, files.length)
  }
  progress.end()
  return answer
}
