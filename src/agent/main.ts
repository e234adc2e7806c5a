import { writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { execute } from './commands.ts'

/** Nothing here is slow enough to be compiled for speed, and the compilers take 5 MB of a small device's memory. */
for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag)

/** Only `run` has something to end tidily; every other command may be ended anywhere, as by a power cut. */
const stop = (): AbortSignal => {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => controller.abort())
  return controller.signal
}

const pause = new Int32Array(new SharedArrayBuffer(4))

/** Straight to the descriptor: the streams of `process` take 2 MB of memory. Whoever does not listen any more stops nothing. */
const writeTo = (descriptor: number) => (text: string) => {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      Atomics.wait(pause, 0, 0, 10)
    }
  }
}

const terminal = { out: writeTo(1), error: writeTo(2), environment: process.env, stop }

void execute(process.argv.slice(2), terminal).then((code) => {
  process.exitCode = code
})
