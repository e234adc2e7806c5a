import { execute } from './commands.ts'

/** Only `run` has something to end tidily; every other command may be ended anywhere, as by a power cut. */
const stop = (): AbortSignal => {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => controller.abort())
  return controller.signal
}

process.exitCode = await execute(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  environment: process.env,
  stop,
})
