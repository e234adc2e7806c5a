import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'

const repository = new URL('../..', import.meta.url).pathname
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Ends with this process, whatever happens to it. */
const keep = (child: ChildProcess): ChildProcess => {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** What EVERLEAF_* says to the machine's own server must not reach ours. */
export const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('EVERLEAF_')))

/** A module of this folder in a process of its own, which answers every message with one message. */
export interface Peer {
  ask<Answer>(message: object): Promise<Answer>
  pid: number
  stop(): Promise<void>
}

export const startPeer = (module: string): Peer => {
  const child = keep(fork(new URL(module, import.meta.url), { cwd: repository, env: cleanEnvironment() }))
  return {
    pid: child.pid ?? 0,
    async ask<Answer>(message: object) {
      const ended = once(child, 'exit').then(([code]) => {
        throw new Error(`${module} ended with ${code} instead of answering`)
      })
      child.send(message)
      const [answer] = await Promise.race([once(child, 'message'), ended])
      return answer as Answer
    },
    stop: () => end(child, 'SIGKILL'),
  }
}

/** Answers each message of the parent. */
export const answerEach = (answer: (message: never) => Promise<object>): void => {
  process.on('message', async (message) => {
    process.send?.(await answer(message as never))
  })
}

export const startProgram = (argv: readonly string[]): ChildProcess => {
  const [program = '', ...rest] = argv
  return keep(spawn(program, rest, { cwd: repository, env: cleanEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] }))
}

/** Runs a program to its end; its standard output. */
export const runProgram = async (argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<string> => {
  const [program = '', ...rest] = argv
  const env = { ...cleanEnvironment(), ...environment }
  const child = keep(spawn(program, rest, { cwd: repository, env, stdio: ['ignore', 'pipe', 'pipe'] }))
  let out = ''
  let err = ''
  child.stdout?.on('data', (data: Buffer) => {
    out += data.toString()
  })
  child.stderr?.on('data', (data: Buffer) => {
    err += data.toString()
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} ${rest.slice(0, 3).join(' ')} … ended with ${code}: ${err.slice(-2_000)}`)
  return out
}

export const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill(signal)
  await closed
}
