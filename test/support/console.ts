import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdminServer } from '../../src/api/admin/server.ts'
import { runCommand } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/session.ts'
import type { Clock } from '../../src/clock/clock.ts'
import { systemClock } from '../../src/clock/system.ts'
import { sha256Hex } from '../../src/pki/digest.ts'
import { createInProcessQueue } from '../../src/queue/in-process.ts'
import type { World } from './world.ts'

/** A terminal that remembers what it was told. */
export interface FakeTerminal extends Terminal {
  written: { out: string; err: string }
  questions: string[]
}

/** `answer`: somebody sits there and types it at every question; without it: a pipe. */
export function fakeTerminal(answer?: string): FakeTerminal {
  const written = { out: '', err: '' }
  const questions: string[] = []
  return {
    written,
    questions,
    out: (text) => {
      written.out += text
    },
    err: (text) => {
      written.err += text
    },
    isInteractive: answer !== undefined,
    isWatched: answer !== undefined,
    ask: async (question) => {
      questions.push(question)
      return answer ?? ''
    },
  }
}

export interface Outcome {
  code: number
  out: string
  err: string
  questions: string[]
}

/** Runs a command line in this process. */
export async function runIn(
  argv: readonly string[],
  { answer, clock }: { answer?: string; clock?: Clock } = {},
): Promise<Outcome> {
  const terminal = fakeTerminal(answer)
  const code = await runCommand(argv, terminal, clock ?? systemClock)
  return { code, ...terminal.written, questions: terminal.questions }
}

export interface Console {
  /** Runs `everleaf <argv>` against the world's admin listener. */
  run(...argv: string[]): Promise<Outcome>
  /** The same for somebody who sits there and answers. */
  answering(answer: string, ...argv: string[]): Promise<Outcome>
  /** The one line of JSON that a command printed; fails where it was refused. */
  json(...argv: string[]): Promise<unknown>
  configFile: string
  token: string
  folder: string
  close(): Promise<void>
}

/** The admin listener of a world, with a configuration by which commands find it. */
export async function openConsole(world: World, deadLetters = createInProcessQueue(world.ports)): Promise<Console> {
  const token = 'token-of-the-administrator'
  const listener = createAdminServer({
    ports: world.ports,
    queue: deadLetters,
    tokenHash: sha256Hex(new TextEncoder().encode(token)),
    ready: () => ({ ready: true, reasons: [] }),
    changed: () => undefined,
    metrics: { contentType: 'text/plain', metrics: async () => '' },
    server: {
      version: '0.0.0',
      deviceUrl: 'https://localhost:8443',
      publicUrl: 'http://localhost:8080',
      addresses: () => ({ device: '127.0.0.1:8443' }),
    },
    names: [],
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  })
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 })
  const folder = await mkdtemp(join(tmpdir(), 'everleaf-console-'))
  await mkdir(join(folder, 'data'))
  await writeFile(join(folder, 'data', 'admin-token'), `${token}\n`, { mode: 0o600 })
  const configFile = join(folder, 'everleaf.yaml')
  await writeFile(configFile, `data: data\nlisten: { admin: { port: ${port} } }\n`)
  const run = (...argv: string[]) => runIn(['--config', configFile, ...argv], { clock: world.clock })
  return {
    run,
    answering: (answer, ...argv) => runIn(['--config', configFile, ...argv], { answer, clock: world.clock }),
    async json(...argv) {
      const { code, out, err } = await run('--json', ...argv)
      if (code !== 0) throw new Error(`exit ${code}: ${err}`)
      return JSON.parse(out)
    },
    configFile,
    token,
    folder,
    async close() {
      await listener.close(1000)
      await rm(folder, { recursive: true })
    },
  }
}
