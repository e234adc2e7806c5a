import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Agent, openAgent, type World } from '../../src/agent/agent.ts'
import { type Disk, systemDisk } from '../../src/agent/disk.ts'
import { enrolAgent } from '../../src/agent/enrol.ts'
import type { HookCall } from '../../src/agent/hook.ts'
import { loadJournal } from '../../src/agent/journal.ts'
import type { LogDetail } from '../../src/agent/log.ts'
import { currentNumber, loadPair, type Pair } from '../../src/agent/pairs.ts'
import { renewOnce } from '../../src/agent/renew.ts'
import { loadSettings, type Settings } from '../../src/agent/settings.ts'
import { createOpenSession } from '../../src/agent/transport.ts'
import { type FlyingClock, flyingClock } from '../fakes/agent-clock.ts'
import { DeviceServer, type DeviceServerOptions } from '../fakes/device-server.ts'

/** A directory that is gone after the test. */
export const temporaryDirectory = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'everleaf-agent-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export const startServer = async (options: DeviceServerOptions = {}): Promise<DeviceServer> => {
  const server = await new DeviceServer(options).start()
  onTestFinished(() => server.stop())
  return server
}

export interface TestWorld extends World {
  clock: FlyingClock
  /** Messages so far, without their details. */
  messages: string[]
  details: LogDetail[]
  hookCalls: HookCall[]
  /** What the hook does; nothing by default. */
  onHook: { run: (call: HookCall) => Promise<void> }
}

export interface WorldOptions {
  disk?: Disk
  directory?: string
  clock?: FlyingClock
}

export const makeWorld = (options: WorldOptions = {}): TestWorld => {
  const clock = options.clock ?? flyingClock()
  const messages: string[] = []
  const details: LogDetail[] = []
  const hookCalls: HookCall[] = []
  const onHook = { run: async (_: HookCall) => undefined as undefined }
  return {
    place: { disk: options.disk ?? systemDisk, directory: options.directory ?? temporaryDirectory() },
    clock,
    log: (message, detail = {}) => {
      messages.push(message)
      details.push(detail)
    },
    openSession: createOpenSession(clock),
    runHook: async (call) => {
      hookCalls.push(call)
      await onHook.run(call)
    },
    messages,
    details,
    hookCalls,
    onHook,
  }
}

export const settingsFor = (server: DeviceServer, change: Partial<Settings> = {}): Settings => ({
  server: server.url,
  label: null,
  device: 'device-1',
  fingerprint: server.fingerprint,
  key: 'ec-p256',
  hook: null,
  hookTimeout: 60,
  ...change,
})

/** A directory with a first certificate. */
export const enrolled = async (
  server: DeviceServer,
  world: TestWorld,
  change: Partial<Settings> = {},
): Promise<{ pair: Pair }> => {
  const token = server.token(`token-${server.certificates.length}`, change.device ?? 'device-1')
  return enrolAgent(world, { settings: settingsFor(server, change), token, force: false })
}

/** The agent as a new process would open it. */
export const openFrom = (world: World): Agent => {
  const settings = loadSettings(world.place.disk, world.place.directory)
  if (settings === null) throw new Error('nothing is enrolled here')
  return openAgent(world, settings)
}

/** What `current` names; throws when that is no complete pair. */
export const inUse = (world: World): Pair => {
  const number = currentNumber(world.place)
  if (number === null) throw new Error('there is no current pair')
  return loadPair(world.place, number)
}

/** Renews now. */
export const renew = (world: TestWorld) => renewOnce(openFrom(world), { force: true })
/** What a timer does: goes on with what is in progress, begins nothing that is not due. */
export const goOn = (world: TestWorld) => renewOnce(openFrom(world), { force: false })
export const stepOf = ({ place }: TestWorld) => loadJournal(place.disk, place.directory)?.step
export const states = (server: DeviceServer) => server.certificates.map(({ state }) => state)
