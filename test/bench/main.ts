import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { agent } from './agent.ts'
import type { Bench } from './bench.ts'
import { crl } from './crl.ts'
import { due } from './due.ts'
import { issue } from './issue.ts'
import { relay } from './relay.ts'
import { renew } from './renew.ts'
import { start } from './start.ts'
import { headings, machine, tableOf } from './table.ts'

const benches: Record<string, Bench> = { issue, crl, renew, due, start, agent, relay }

const usage = `npm run bench -- [${Object.keys(benches).join('|')} …] [options]

  --entries N   size of crl, due or start instead of their own; may be repeated
  --rounds N    rounds whose median counts (3)
  --json        one line of JSON a measurement on stdout instead of the table
`

const count = (text: string): number => {
  const number = Number(text.replaceAll('_', ''))
  if (Number.isSafeInteger(number) && number >= 1) return number
  throw new Error(`${text} is not a whole number of at least 1`)
}

const readArguments = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      entries: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const unknown = positionals.find((name) => !Object.hasOwn(benches, name))
  if (unknown !== undefined) throw new Error(`there is no bench ${unknown}`)
  const names = positionals.length > 0 ? positionals : Object.keys(benches)
  return { ...values, names, entries: values.entries.map(count), rounds: count(values.rounds) }
}

const progress = (text: string): void => {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
}
const endProgress = (): void => {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}

const main = async (): Promise<void> => {
  const { names, entries, rounds, json, help } = readArguments()
  if (help) {
    process.stdout.write(usage)
    return
  }
  // Not a memory file system: what is durable here must reach a disk.
  const root = mkdtempSync(join(tmpdir(), 'everleaf-bench-'))
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  if (!json) process.stdout.write(`${machine()}\n${headings()}`)
  for (const name of names) {
    const directory = join(root, name)
    await mkdir(directory)
    const reports = (await benches[name]?.({ directory, shared: root, progress, entries, rounds })) ?? []
    await rm(directory, { recursive: true, force: true })
    endProgress()
    for (const { result, rows } of reports)
      process.stdout.write(json ? `${JSON.stringify(result)}\n` : tableOf(name, rows))
  }
}

main().catch((error: Error) => {
  endProgress()
  process.stderr.write(`bench: ${error.message}\n\n${usage}`)
  process.exitCode = 1
})
