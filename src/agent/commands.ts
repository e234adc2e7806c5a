import { readFileSync } from 'node:fs'
import { type Agent, openAgent, type World } from './agent.ts'
import { type Command, parseCommand } from './arguments.ts'
import { isoTime, systemClock } from './clock.ts'
import { systemDisk } from './disk.ts'
import { enrolAgent } from './enrol.ts'
import { AgentError, reasonOf } from './error.ts'
import { makeDirectories } from './files.ts'
import { runHook } from './hook.ts'
import { layout, pairFiles } from './layout.ts'
import { systemProcesses, withLock } from './lock.ts'
import { createLog } from './log.ts'
import type { Pair } from './pairs.ts'
import { renewOnce } from './renew.ts'
import { run } from './run.ts'
import { loadSettings } from './settings.ts'
import { readStatus, statusText } from './status.ts'
import { createOpenSession } from './transport.ts'

export interface Terminal {
  out: (text: string) => void
  error: (text: string) => void
  environment: Readonly<Record<string, string | undefined>>
  /** From this call on a request to stop ends nothing by itself but aborts the signal. */
  stop: () => AbortSignal
}

type Working = Exclude<Command, { name: 'help' }>

const worldOf = (command: Working, terminal: Terminal): World => ({
  place: { disk: systemDisk, directory: command.directory },
  clock: systemClock,
  log: createLog({ json: command.logJson, clock: systemClock, write: terminal.error }),
  openSession: createOpenSession(systemClock),
  runHook,
})

const loadAgent = (world: World): Agent => {
  const { disk, directory } = world.place
  const settings = loadSettings(disk, directory)
  if (settings === null) throw new AgentError('local', `${directory} holds no agent.json; run enroll first`)
  return openAgent(world, settings)
}

const readToken = (file: string | null, { environment }: Terminal): string | null => {
  if (file === null) return environment.EVERLEAF_TOKEN?.trim() || null
  try {
    const token = readFileSync(file === '-' ? 0 : file, 'utf8').trim()
    if (token === '' || token.length > 1024 || /\s/.test(token)) throw new Error('expected one token on one line')
    return token
  } catch (error) {
    throw new AgentError('usage', `token file ${file}: ${reasonOf(error)}`)
  }
}

const pairJson = (pair: Pair, directory: string) => ({
  subject: pair.leaf.subjectText,
  serial: pair.leaf.serial,
  fingerprint: pair.leaf.fingerprint,
  notBefore: isoTime(pair.leaf.notBefore),
  notAfter: isoTime(pair.leaf.notAfter),
  certificate: pairFiles.certificate(layout.current(directory)),
})

const perform = async (command: Working, world: World, terminal: Terminal): Promise<object | string> => {
  const { directory } = command
  switch (command.name) {
    case 'enroll': {
      const token = readToken(command.tokenFile, terminal)
      const { pair, already } = await enrolAgent(world, { settings: command.settings, token, force: command.force })
      const outcome = { enrolled: true, already, ...pairJson(pair, directory) }
      if (command.json) return outcome
      const what = already ? 'Already enrolled' : 'Enrolled'
      return `${what}: ${outcome.subject}, valid until ${outcome.notAfter}\n${outcome.certificate}\nNext: everleaf-agent run --directory ${directory}\n`
    }
    case 'run':
      await run(loadAgent(world), terminal.stop())
      return command.json ? readStatus(world.place, world.clock.now()) : ''
    case 'renew': {
      const { pair, renewed, verdict } = await renewOnce(loadAgent(world), { force: command.force })
      const outcome = { renewed, reason: verdict.reason, ...pairJson(pair, directory) }
      if (command.json) return outcome
      return renewed ? `Renewed: valid until ${outcome.notAfter}\n` : `Not due: ${verdict.message}\n`
    }
    case 'status': {
      const status = readStatus(world.place, world.clock.now())
      terminal.out(command.json ? `${JSON.stringify(status)}\n` : statusText(status))
      if (status.problem !== null) throw new AgentError('local', status.problem)
      return ''
    }
  }
}

const work = async (command: Working, terminal: Terminal): Promise<void> => {
  const world = worldOf(command, terminal)
  const doIt = () => perform(command, world, terminal)
  const lock = { disk: systemDisk, path: layout.lock(command.directory), processes: systemProcesses }
  if (command.name === 'enroll') makeDirectories(systemDisk, command.directory)
  const outcome = command.name === 'status' ? await doIt() : await withLock(lock, doIt)
  if (outcome !== '') terminal.out(typeof outcome === 'string' ? outcome : `${JSON.stringify(outcome)}\n`)
}

/** Runs one command; returns the exit code: 0 done, 1 refused or failed, 2 usage. */
export const execute = async (argv: readonly string[], terminal: Terminal): Promise<number> => {
  try {
    const command = parseCommand(argv)
    if (command.name === 'help') terminal.out(command.text)
    else await work(command, terminal)
    return 0
  } catch (error) {
    terminal.error(`everleaf-agent: ${reasonOf(error)}\n`)
    return error instanceof AgentError && error.code === 'usage' ? 2 : 1
  }
}
