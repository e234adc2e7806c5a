// `npm run demo`: the main job by itself, on certificates that live for seconds. `-- --once` ends when the story is told,
// `--json` prints its figures as the last line of stdout.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startGateway } from './gateway.ts'
import { endAll } from './processes.ts'
import { startServer } from './server.ts'
import { type Summary, tell } from './story.ts'
import { createView } from './view.ts'

const help = `npm run demo [-- --once] [--json]

  --once   end when the story is told, with exit 0 if all of it went well
  --json   print the figures as the last line of stdout

Example: npm run demo -- --once --json
`

const { values } = parseArgs({
  options: { once: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
})

const sentence = ({ agents, renewals, refusedWhileLive, revokedRefusedAfterMs, gateway, ok }: Summary): string =>
  `${ok ? 'All went well' : 'Not all went well'}: ${agents} devices renewed ${renewals} times, ${refusedWhileLive} requests of live devices were refused, ` +
  `the revoked one was refused by ${gateway === 'tls' ? 'the node:tls gateway (no nginx here)' : gateway} after ${revokedRefusedAfterMs} ms.\n`

const demo = async (): Promise<boolean> => {
  const stopping = new AbortController()
  const stopped = new Promise<false>((resolve) => stopping.signal.addEventListener('abort', () => resolve(false)))
  // Again and again: an impatient second Ctrl-C must not leave processes and keys behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort())
  const directory = await mkdtemp(join(tmpdir(), 'everleaf-demo-'))
  try {
    return await Promise.race([play(directory, stopping), stopped])
  } finally {
    stopping.abort()
    await endAll()
    await rm(directory, { recursive: true, force: true })
  }
}

const play = async (directory: string, stopping: AbortController): Promise<boolean> => {
  const screen = values.json ? process.stderr : process.stdout
  const draw = createView(screen.isTTY === true, (text) => screen.write(text))
  const gateway = await startGateway(join(directory, 'gateway'))
  const server = await startServer(join(directory, 'server'), gateway.settings)
  const summary = await tell({ directory: join(directory, 'devices'), gateway, server, draw, signal: stopping.signal })
  screen.write(`\n${sentence(summary)}`)
  if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
  process.exitCode = summary.ok ? 0 : 1
  if (!values.once) {
    screen.write('It goes on until Ctrl-C.\n\n')
    await pause(2 ** 31 - 1, undefined, { signal: stopping.signal }).catch(() => undefined)
  }
  return summary.ok
}

/** What waits in a story that was broken off would keep the process for half a minute more. */
const leave = (code: number): void => {
  process.stdout.write('', () => process.exit(code))
}

if (values.help) process.stdout.write(help)
else
  demo().then(
    (ok) => leave(process.exitCode === 0 || ok ? 0 : 1),
    (error: Error) => {
      process.stderr.write(`demo: ${error.message}\n`)
      leave(1)
    },
  )
