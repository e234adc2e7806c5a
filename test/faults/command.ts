import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Outcome, runProgram } from '../support/server.ts'
import { cleanEnvironment } from './site.ts'

const main = new URL('../../src/main.ts', import.meta.url).pathname

/** A directory with a configuration and, where asked for, all that `init` makes. Everything in it belongs to one test. */
export interface Bench {
  directory: string
  data: string
  config: string
  path(name: string): string
  everleaf(...argv: string[]): Promise<Outcome>
}

export interface Benches {
  /** With CAs and database, and a backup of them in `backup`. */
  made(): Promise<Bench>
  /** With a configuration alone. */
  bare(): Promise<Bench>
  remove(): Promise<void>
}

const configuration = JSON.stringify({
  data: 'data',
  listen: {
    device: { host: '127.0.0.1', port: 0, url: 'https://localhost:8443', names: ['localhost'] },
    public: { host: '127.0.0.1', port: 0, url: 'http://localhost:8080' },
    admin: { host: '127.0.0.1', port: 0 },
  },
})

/** Makes one and copies it for each test: its CAs cost time. */
export const makeBenches = async (): Promise<Benches> => {
  const folder = await mkdtemp(join(tmpdir(), 'everleaf-bench-'))
  let count = 0
  const benchAt = (directory: string): Bench => ({
    directory,
    data: join(directory, 'data'),
    config: join(directory, 'everleaf.yaml'),
    path: (name) => join(directory, name),
    everleaf: (...argv) => everleaf(join(directory, 'everleaf.yaml'), argv),
  })
  const bare = async (): Promise<Bench> => {
    count += 1
    const bench = benchAt(await mkdtemp(join(folder, `${count}-`)))
    await writeFile(bench.config, configuration)
    return bench
  }
  const original = await bare()
  for (const argv of [['init'], ['backup', original.path('backup')]]) {
    const { code, err } = await original.everleaf(...argv)
    if (code !== 0) throw new Error(err)
  }
  return {
    bare,
    async made() {
      const bench = await bare()
      await cp(original.directory, bench.directory, { recursive: true })
      return bench
    },
    remove: () => rm(folder, { recursive: true }),
  }
}

/** `wrapped`: a shell script that ends with running "$@". */
export const everleaf = (config: string, argv: readonly string[], wrapped?: readonly string[]): Promise<Outcome> =>
  runProgram([...(wrapped ?? []), process.execPath, main, '--config', config, ...argv], {
    environment: cleanEnvironment(),
  })

/** Every file below a directory with a digest of its bytes, without what SQLite keeps beside a database while it is open. */
export const contentsOf = async (directory: string): Promise<Record<string, string>> => {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !/-(?:wal|shm)$|\.lock(?:-journal)?$/.test(entry.name))
  const digests = files.map(async ({ parentPath, name }): Promise<[string, string]> => {
    const bytes = await readFile(join(parentPath, name))
    return [join(parentPath, name).slice(directory.length), createHash('sha256').update(bytes).digest('hex')]
  })
  return Object.fromEntries((await Promise.all(digests)).sort())
}

/** How to run a program that may mount, as root or in a user namespace of its own; null: this system lets us do neither. */
export const mounting = (): string[] | null => {
  const ways = [
    ['unshare', '--mount'],
    ['unshare', '--map-root-user', '--mount'],
  ]
  const probe = ['sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /tmp']
  const works = ([program = '', ...rest]: string[]) => spawnSync(program, [...rest, ...probe]).status === 0
  const way = ways.find(works)
  if (way !== undefined) return way
  const reason = 'unshare may not mount: run as root, or allow user namespaces'
  if (process.env.CI) throw new Error(`CI must not skip: ${reason}`)
  console.warn(`skipped: ${reason}`)
  return null
}
