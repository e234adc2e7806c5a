import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { EverleafError } from '../errors.ts'

export interface AppliedMigration {
  number: number
  name: string
  /** SHA-256 of its text, lower-case hexadecimal. */
  digest: string
}
export interface Migration extends AppliedMigration {
  text: string
}

/** The numbered SQL files of one dialect, in order. A bundle carries them in `migrations/` beside itself. */
export function readMigrations(dialect: 'sqlite'): Migration[] {
  const directory = new URL(`./migrations/${dialect}/`, import.meta.url)
  const files = readdirSync(directory).filter((file) => /^\d{4}-[a-z0-9-]+\.sql$/.test(file))
  return files.sort().map((file) => {
    // A checkout with other line ends is not another migration.
    const text = readFileSync(new URL(file, directory), 'utf8').replaceAll('\r\n', '\n')
    const digest = createHash('sha256').update(text).digest('hex')
    return { number: Number(file.slice(0, 4)), name: file.slice(0, -'.sql'.length), digest, text }
  })
}

/**
 * What is still to be applied to the database called `database`. `configuration` where it was written by a newer
 * program, or where a migration that it went through is not the one of that number here.
 */
export function pendingMigrations(
  known: readonly Migration[],
  applied: readonly AppliedMigration[],
  database: string,
): Migration[] {
  const refuse = (message: string) => new EverleafError('configuration', `the database ${database} ${message}`)
  for (const { number, name, digest } of applied) {
    const same = known.find((migration) => migration.number === number)
    if (!same) {
      const newest = known.at(-1)?.name ?? 'none'
      throw refuse(
        `is newer than this program: it has migration ${name}, the newest here is ${newest}; use a newer Everleaf`,
      )
    }
    if (same.digest !== digest)
      throw refuse(
        `went through another migration ${name} than this program's ${same.name}: SHA-256 ${digest}, here ${same.digest}; use the Everleaf that wrote it`,
      )
  }
  return known.filter(({ number }) => !applied.some((migration) => migration.number === number))
}
