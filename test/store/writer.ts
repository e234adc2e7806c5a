import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const program = join(import.meta.dirname, 'write-endlessly.ts')

export interface Writer {
  child: ChildProcess
  /** Every line so far. */
  lines: string[]
  /** Resolves when it has acknowledged so many transactions more, or ended. */
  acknowledges(count: number): Promise<void>
  /** Kills it at once and waits until it is gone and all its output is read. */
  kill(): Promise<void>
  ended: Promise<unknown>
}

/** Starts a process that writes into the database. `limit`: the largest file that it may write, in kilobytes. */
export function startWriter(file: string, { limit }: { limit?: number } = {}): Writer {
  const command = [process.execPath, '--no-warnings', program, file]
  const child = limit
    ? spawn('bash', ['-c', `ulimit -f ${limit}; exec "$@"`, 'bash', ...command], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
    : spawn(process.execPath, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  let wake: () => void = () => undefined
  const reader = createInterface({ input: child.stdout ?? process.stdin })
  reader.on('line', (line) => {
    lines.push(line)
    wake()
  })
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then(() => wake())
  return {
    child,
    lines,
    ended,
    acknowledges: (count) =>
      new Promise((resolve) => {
        const wanted = lines.length + count
        wake = () => {
          if (lines.length >= wanted || child.exitCode !== null || child.signalCode !== null) resolve()
        }
        wake()
      }),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
