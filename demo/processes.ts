import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export const node = process.execPath
export const root = new URL('..', import.meta.url).pathname

const running = new Set<ChildProcess>()
let isEnding = false

const refuseAtEnd = (): void => {
  if (isEnding) throw new Error('the demo is ending')
}

export interface Program {
  child: ChildProcess
  /** The end of what it wrote to stderr. */
  errors(): string
}

/** Starts a program that is ended with the demo. */
export const start = (argv: readonly string[], environment: Record<string, string> = {}): Program => {
  refuseAtEnd()
  const [program = '', ...rest] = argv
  const child = spawn(program, rest, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stdout?.resume()
  child.stderr?.on('data', (data: Buffer) => {
    errors = (errors + data.toString()).slice(-4_000)
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return { child, errors: () => errors }
}

/** Runs a program to its end and returns what it wrote; throws with its own words when it fails. */
export const run = async (argv: readonly string[], environment: Record<string, string> = {}): Promise<string> => {
  refuseAtEnd()
  const [program = '', ...rest] = argv
  const child = spawn(program, rest, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let out = ''
  let errors = ''
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString()
  })
  child.stderr.on('data', (data: Buffer) => {
    errors = (errors + data.toString()).slice(-4_000)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  running.delete(child)
  if (code !== 0) throw new Error(`${argv.slice(0, 3).join(' ')} ended with ${code}: ${errors.trim()}`)
  return out
}

export const end = async ({ child }: Program, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

/** Ends everything that still runs, the stubborn by force. */
export const endAll = async (): Promise<void> => {
  isEnding = true
  const left = [...running]
  for (const child of left) child.kill('SIGTERM')
  const gone = Promise.all(
    left.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null)),
  )
  await Promise.race([gone, pause(5_000)])
  for (const child of running) child.kill('SIGKILL')
  await Promise.race([gone, pause(1_000)])
}

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** Asks again and again until `condition` gives something; throws with `what` after `limit` milliseconds. */
export const until = async <T>(what: string, condition: () => Promise<T | null>, limit = 30_000): Promise<T> => {
  const deadline = Date.now() + limit
  for (;;) {
    const found = await condition()
    if (found !== null) return found
    if (Date.now() > deadline) throw new Error(`gave up after ${limit / 1_000} s: ${what}`)
    await pause(50)
  }
}
