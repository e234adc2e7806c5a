import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const repository = new URL('../..', import.meta.url).pathname

export interface Settings {
  [name: string]: unknown
}

export interface ServerOptions {
  /** Laid over the defaults of `settingsOf`, map by map; lists and plain values replace. */
  settings?: Settings
}

export interface Outcome {
  code: number | null
  out: string
  err: string
}

export interface AuthorityView {
  id: string
  subject: string
  issues: boolean
  pem: string
}

export interface CertificateRow {
  authority: string
  serial: string
  device: string | null
  source: string
  state: string
  notBefore: string
  notAfter: string
  issuedAt: string
}

/** A real Everleaf in a process of its own. */
export interface Server {
  /** Data, configuration and whatever the test puts there; removed by `stop`. */
  directory: string
  ports: { device: number; public: number; admin: number }
  /** `https://localhost:<port>` */
  deviceUrl: string
  /** `http://localhost:<port>` */
  publicUrl: string
  /** Of the root, the issuing CA, and the issuing CA followed by the root. */
  pem: { root: string; issuing: string; chain: string }
  /** Files with the same. */
  files: { root: string; issuing: string; chain: string }
  issuing: AuthorityView
  root: AuthorityView
  /** GET, or POST where there is a body, under /api/v1/. Throws where it is refused. */
  admin<T = Record<string, unknown>>(path: string, body?: object): Promise<T>
  token(device: string, profile?: string): Promise<string>
  /** Of a device, oldest first. */
  certificates(device: string): Promise<CertificateRow[]>
  /** Runs `everleaf <argv>` against it, as an operator would. */
  everleaf(...argv: string[]): Promise<Outcome>
  /** What it wrote: results, and its log of JSON lines. */
  written(): { out: string; err: string }
  stop(): Promise<void>
}

/** A port of 127.0.0.1 that nothing listens on right now. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** Asks again and again until there is something; throws with `what` and the last error after `limit` milliseconds. */
export const until = async <T>(
  what: string,
  condition: () => Promise<T | null | false> | T | null | false,
  limit = 20_000,
): Promise<T> => {
  const deadline = Date.now() + limit
  for (;;) {
    const found = await condition()
    if (found !== null && found !== false) return found
    if (Date.now() > deadline) throw new Error(`gave up after ${limit} ms: ${what}`)
    await pause(25)
  }
}

/** Without what the surroundings say to an Everleaf, and to HTTP clients of proxies: everything here is on this machine. */
const surroundings = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^EVERLEAF_|_proxy$/i.test(name)))

/** Runs a program to its end, with nothing on its stdin. */
export const runProgram = async (
  argv: readonly string[],
  { environment = surroundings() }: { environment?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> => {
  const [program = '', ...rest] = argv
  const child = spawn(program, rest, { cwd: repository, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  const written = collect(child)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...written() }
}

const longestOutput = 1_000_000

const collect = (child: ChildProcess): (() => { out: string; err: string }) => {
  let out = ''
  let err = ''
  child.stdout?.on('data', (data: Buffer) => {
    out = (out + data.toString()).slice(-longestOutput)
  })
  child.stderr?.on('data', (data: Buffer) => {
    err = (err + data.toString()).slice(-longestOutput)
  })
  return () => ({ out, err })
}

const isMap = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const merge = (base: Settings, over: Settings): Settings => {
  const merged = { ...base }
  for (const [name, value] of Object.entries(over)) {
    const former = merged[name]
    merged[name] = isMap(former) && isMap(value) ? merge(former, value) : value
  }
  return merged
}

const settingsOf = (ports: Server['ports']): Settings => ({
  data: '.',
  listen: {
    device: { host: '127.0.0.1', port: ports.device, url: `https://localhost:${ports.device}`, names: ['localhost'] },
    public: { host: '127.0.0.1', port: ports.public, url: `http://localhost:${ports.public}` },
    admin: { host: '127.0.0.1', port: ports.admin },
  },
  crl: { coalesce: '50ms' },
  events: { log: false },
})

interface Running {
  child: ChildProcess
  written(): { out: string; err: string }
  ports: Server['ports']
  file: string
}

const start = async (directory: string, settings: Settings): Promise<Running> => {
  const ports = { device: await freePort(), public: await freePort(), admin: await freePort() }
  const file = join(directory, 'everleaf.yaml')
  await writeFile(file, JSON.stringify(merge(settingsOf(ports), settings)))
  const argv = ['src/main.ts', '--config', file, 'serve', '--init']
  const child = spawn(process.execPath, argv, {
    cwd: repository,
    env: surroundings(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written = collect(child)
  await until('the server is ready', async () => {
    if (child.exitCode !== null || child.signalCode !== null) return true
    const answer = await fetch(`http://127.0.0.1:${ports.admin}/readyz`).catch(() => null)
    await answer?.body?.cancel()
    return answer?.ok ?? null
  }).catch(async (error: Error) => {
    await end(child)
    throw new Error(`${error.message}: ${written().err}`)
  })
  return { child, written, ports, file }
}

/** The server gives what runs ten seconds to finish. */
const longestStop = 20_000

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), longestStop)
  await closed
  clearTimeout(late)
}

/** Somebody else may take a free port before the server does. */
const startSomewhere = async (directory: string, settings: Settings): Promise<Running> => {
  for (let attempt = 1; ; attempt += 1) {
    const running = await start(directory, settings)
    if (running.child.exitCode === null && running.child.signalCode === null) return running
    const { err } = running.written()
    if (attempt === 3 || !err.includes('EADDRINUSE')) throw new Error(`the server ended: ${err}`)
  }
}

/** Starts a server on free ports in a directory of its own and waits until it is ready. */
export const startServer = async ({ settings = {} }: ServerOptions = {}): Promise<Server> => {
  const directory = await mkdtemp(join(tmpdir(), 'everleaf-server-'))
  const { child, written, ports, file } = await startSomewhere(directory, settings)
  const killed = () => child.kill('SIGKILL')
  process.once('exit', killed)
  const secret = (await readFile(join(directory, 'admin-token'), 'utf8')).trim()

  const admin = async <T>(path: string, body?: object): Promise<T> => {
    const answer = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { Authorization: `Bearer ${secret}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }

  const { authorities } = await admin<{ authorities: AuthorityView[] }>('authorities')
  const issuing = authorities.find(({ issues }) => issues)
  const root = authorities.find(({ issues }) => !issues)
  if (issuing === undefined || root === undefined) throw new Error('the server has no issuing CA or no root')
  const pem = { root: root.pem, issuing: issuing.pem, chain: issuing.pem + root.pem }
  const place = (name: string) => join(directory, `test-${name}.pem`)
  const files = { root: place('root'), issuing: place('issuing'), chain: place('chain') }
  await Promise.all([
    writeFile(files.root, pem.root),
    writeFile(files.issuing, pem.issuing),
    writeFile(files.chain, pem.chain),
  ])

  return {
    directory,
    ports,
    deviceUrl: `https://localhost:${ports.device}`,
    publicUrl: `http://localhost:${ports.public}`,
    pem,
    files,
    issuing,
    root,
    admin,
    async token(device, profile) {
      return (await admin<{ token: string }>('tokens', { device, profile })).token
    },
    async certificates(device) {
      const { certificates } = await admin<{ certificates: CertificateRow[] }>(`certificates?device=${device}`)
      return certificates.toSorted((one, other) => one.issuedAt.localeCompare(other.issuedAt))
    },
    everleaf: (...argv) => runProgram([process.execPath, 'src/main.ts', '--config', file, ...argv]),
    written,
    async stop() {
      process.off('exit', killed)
      await end(child)
      await rm(directory, { recursive: true, force: true })
    },
  }
}
