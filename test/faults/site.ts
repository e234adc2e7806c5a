import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Outcome, runProgram, type Settings, until } from '../support/server.ts'

const repository = new URL('../..', import.meta.url).pathname

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A server process that the test starts, kills and starts again, always in the same directory and on the same ports. */
export interface Site {
  directory: string
  file: string
  ports: { device: number; public: number; admin: number }
  /** Runs `serve` and does not wait for anything. */
  spawn(): void
  /** Resolves when it is ready; throws with its words when it ended instead. */
  ready(): Promise<void>
  start(): Promise<void>
  isRunning(): boolean
  /** Whether it answers that it is ready. */
  isUp(): Promise<boolean>
  signal(name: NodeJS.Signals): void
  ended(): Promise<Ended>
  /** SIGKILL, at once. */
  kill(): Promise<void>
  /** What the present process wrote to stderr. */
  errors(): string
  /** The answer of `/api/v1/<path>`, POST where there is a body. Null: no answer, or none of a server in order. */
  admin<T = Record<string, unknown>>(path: string, body?: object): Promise<T | null>
  everleaf(...argv: string[]): Promise<Outcome>
  /** Ends whatever runs and removes the directory. */
  remove(): Promise<void>
}

export const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('EVERLEAF_')))

const usual = (ports: Site['ports']): Settings => ({
  data: '.',
  listen: {
    device: { host: '127.0.0.1', port: ports.device, url: `https://localhost:${ports.device}`, names: ['localhost'] },
    public: { host: '127.0.0.1', port: ports.public, url: `http://localhost:${ports.public}` },
    admin: { host: '127.0.0.1', port: ports.admin },
  },
})

const given = new Set<number>()

/**
 * A free port that no outgoing connection is given by itself (Linux takes those from 32768 on): while a server is down, one
 * of its clients could be called from its port.
 */
const lastingPort = async (): Promise<number> => {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    const server = createServer()
    const isFree = once(server.listen(port, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    )
    if (!(await isFree)) continue
    server.close()
    await once(server, 'close')
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}

/** Makes CAs, database and configuration in a new directory; nothing runs yet. */
export const makeSite = async (settings: Settings, secrets: Record<string, string> = {}): Promise<Site> => {
  const directory = await mkdtemp(join(tmpdir(), 'everleaf-site-'))
  const ports = { device: await lastingPort(), public: await lastingPort(), admin: await lastingPort() }
  const file = join(directory, 'everleaf.yaml')
  await writeFile(file, JSON.stringify({ ...usual(ports), ...settings }))
  for (const [name, secret] of Object.entries(secrets)) await writeFile(join(directory, name), secret, { mode: 0o600 })
  let child: ChildProcess | null = null
  let errors = ''
  let exited: Promise<Ended> = Promise.resolve({ code: null, signal: null })
  const endWithUs = () => child?.kill('SIGKILL')
  process.once('exit', endWithUs)

  const everleaf = (...argv: string[]) =>
    runProgram([process.execPath, 'src/main.ts', '--config', file, ...argv], { environment: cleanEnvironment() })
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null

  const made = await everleaf('init')
  if (made.code !== 0) throw new Error(made.err)
  const secret = (await readFile(join(directory, 'admin-token'), 'utf8')).trim()

  const site: Site = {
    directory,
    file,
    ports,
    spawn() {
      const argv = ['src/main.ts', '--config', file, 'serve']
      const next = spawn(process.execPath, argv, { cwd: repository, env: cleanEnvironment(), stdio: 'pipe' })
      child = next
      errors = ''
      next.stdout.resume()
      next.stderr.on('data', (data: Buffer) => {
        errors = (errors + data.toString()).slice(-100_000)
      })
      exited = once(next, 'close').then(([code, signal]) => ({ code, signal }) as Ended)
    },
    async ready() {
      await until('the server is ready', async () => {
        if (!isRunning()) throw new Error(`the server ended: ${errors}`)
        return site.isUp()
      })
    },
    async start() {
      site.spawn()
      await site.ready()
    },
    isRunning,
    async isUp() {
      const answer = await fetch(`http://127.0.0.1:${ports.admin}/readyz`).catch(() => null)
      await answer?.body?.cancel()
      return answer?.ok === true
    },
    signal: (name) => child?.kill(name),
    ended: () => exited,
    async kill() {
      child?.kill('SIGKILL')
      await exited
    },
    errors: () => errors,
    async admin<T>(path: string, body?: object): Promise<T | null> {
      try {
        const answer = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/${path}`, {
          method: body === undefined ? 'GET' : 'POST',
          headers: { Authorization: `Bearer ${secret}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
          ...(body ? { body: JSON.stringify(body) } : {}),
        })
        return answer.ok ? ((await answer.json()) as T) : null
      } catch {
        return null
      }
    },
    everleaf,
    async remove() {
      process.off('exit', endWithUs)
      if (isRunning()) await site.kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
  return site
}
