import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock } from '../clock/clock.ts'
import { EverleafError, messageOf } from '../errors.ts'
import type { Duration } from '../model.ts'

export interface CommandOptions {
  clock: Clock
  timeout: Duration
  /** The whole environment of the command: nothing of this server's own leaks into it. */
  environment: Readonly<Record<string, string>>
}

/** `exitCode` null: ended by a signal, or killed at the timeout. */
export interface CommandResult {
  exitCode: number | null
  timedOut: boolean
  /** The end of what it printed, stderr and stdout as they came. */
  output: string
}

const outputLimit = 2_048
/** A daemon started by the command may hold its pipes open for ever: output that comes later than this after its end is not awaited. */
const drainTime: Duration = 100

const collectTail = (child: ChildProcess): (() => string) => {
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      tail = (tail + text).slice(-outputLimit)
    })
  }
  return () => tail.trim()
}

const release = (child: ChildProcess): void => {
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') stream.unref()
}

/** Its whole process group, so that no helper of it stays. */
const killGroup = (child: ChildProcess): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** Runs a program without a shell and waits for its end, `timeout` at most. Throws `unavailable` when it cannot be started. */
export const runCommand = async (argv: readonly string[], options: CommandOptions): Promise<CommandResult> => {
  const { clock, timeout, environment } = options
  const [program = '', ...rest] = argv
  const child = spawn(program, rest, {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output = collectTail(child)
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('exit', (code) => resolve(code))
    child.once('error', (error) =>
      reject(
        new EverleafError('unavailable', `${shown(argv)} could not be started: ${messageOf(error)}`, { cause: error }),
      ),
    )
  })
  const over = new AbortController()
  let timedOut = false
  const watch = clock.sleep(timeout, over.signal).then(
    () => {
      timedOut = true
      killGroup(child)
    },
    // Aborted: the command ended in time.
    () => undefined,
  )
  try {
    const exitCode = await exited
    await Promise.race([closed, clock.sleep(drainTime, over.signal)])
    return { exitCode: timedOut ? null : exitCode, timedOut, output: output() }
  } finally {
    over.abort(new Error('the command ended'))
    await watch
    release(child)
  }
}

/** A command as people write it. */
export const shown = (argv: readonly string[]): string =>
  argv.map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : JSON.stringify(part))).join(' ')

/** What became of a command that did not exit 0, with the end of its output. */
export const describeFailure = (argv: readonly string[], result: CommandResult, timeout: Duration): string => {
  const end = result.timedOut
    ? `did not end within ${timeout} ms`
    : result.exitCode === null
      ? 'was ended by a signal'
      : `exited with ${result.exitCode}`
  return `${shown(argv)} ${end}${result.output === '' ? '' : `: ${result.output}`}`
}
