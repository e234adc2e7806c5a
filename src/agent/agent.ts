import type { Endpoint } from './calls.ts'
import type { AgentCertificate } from './certificate.ts'
import { newestStart } from './chain.ts'
import { type AgentClock, createTimekeeper, type Timekeeper } from './clock.ts'
import { AgentError, codeOf, printable, reasonOf } from './error.ts'
import { switchLink } from './files.ts'
import type { RunHook } from './hook.ts'
import { layout } from './layout.ts'
import type { Log } from './log.ts'
import { loadMemory, type Memory, saveMemory } from './memory.ts'
import { bestPair, currentNumber, loadPair, type Pair, type Place } from './pairs.ts'
import { callTimeout } from './schedule.ts'
import type { Settings } from './settings.ts'
import type { OpenSession, Session } from './transport.ts'
import { loadAnchors } from './trust.ts'

/** What the agent touches of the world; tests hand in others. */
export interface World {
  place: Place
  clock: AgentClock
  log: Log
  openSession: OpenSession
  runHook: RunHook
}

/** One agent at work on one directory. */
export interface Agent extends World {
  settings: Settings
  time: Timekeeper
  memory(): Memory
  /** Changes the notes, durably. */
  remember(change: Partial<Memory>): void
  /** The server, over a connection with this pair (or none), kept until `disconnect`. */
  endpoint(pair: Pair | null): Endpoint
  disconnect(): void
}

const defaultTimeout = 30_000

const requireAnchors = ({ place }: World): AgentCertificate[] => {
  const anchors = loadAnchors(place.disk, place.directory)
  if (anchors !== null) return anchors
  throw new AgentError('local', `${layout.trustAnchors(place.directory)} is missing; enrol again`)
}

/** What the certificates at hand prove to be past, so that lost notes cost no time floor. */
const provenPast = ({ place }: World): number => {
  try {
    const number = currentNumber(place)
    const own = number === null ? [] : [loadPair(place, number).leaf]
    return newestStart([...own, ...(loadAnchors(place.disk, place.directory) ?? [])], 0)
  } catch {
    return 0
  }
}

/** Loads what the directory remembers. */
export const openAgent = (world: World, settings: Settings): Agent => {
  const { place, clock, log, openSession } = world
  let memory = loadMemory(place.disk, place.directory, (error) => log('notes are lost', { reason: reasonOf(error) }))
  const time = createTimekeeper(clock, Math.max(memory.floor, provenPast(world)))
  const sessions = new Map<number | null, Session>()
  const remember = (change: Partial<Memory>) => {
    const next = { ...memory, floor: time.floor(), ...change }
    if (JSON.stringify(next) === JSON.stringify(memory)) return
    memory = next
    saveMemory(place.disk, place.directory, next)
  }
  if (memory.jitter === null) remember({ jitter: clock.fraction() })
  const open = (pair: Pair | null): Session => {
    const session = openSession({
      server: settings.server,
      trust: requireAnchors(world),
      timeOverride: time.behind() ? time.now() : null,
      pair,
      timeout: pair === null ? defaultTimeout : callTimeout(pair.leaf),
    })
    sessions.set(pair?.number ?? null, session)
    return session
  }
  return {
    ...world,
    settings,
    time,
    memory: () => memory,
    remember,
    endpoint: (pair) => ({
      session: sessions.get(pair?.number ?? null) ?? open(pair),
      label: settings.label,
      now: clock.now(),
    }),
    disconnect() {
      for (const session of sessions.values()) session.close()
      sessions.clear()
    },
  }
}

/** The pair in use; null: nothing was enrolled yet. A damaged one is replaced by the best that is left, if there is one. */
export const currentPair = ({ place, log }: World): Pair | null => {
  const number = currentNumber(place)
  if (number === null) return null
  try {
    return loadPair(place, number)
  } catch (error) {
    const best = bestPair(place)
    if (best === null) throw error
    log('the current pair is damaged; another one takes its place', { reason: reasonOf(error), pair: best.number })
    switchLink(place.disk, layout.current(place.directory), `pairs/${best.number}`)
    return best
  }
}

/** Notes a failure, for status and for the next check-in. */
export const noteFailure = (agent: Agent, error: unknown, retryAt: number | null): void =>
  agent.remember({
    lastError: { time: agent.time.now(), code: codeOf(error), message: printable(reasonOf(error), 1000), told: false },
    failures: agent.memory().failures + 1,
    retryAt,
  })

/** Notes that all is well again; the last error stays to be read. */
export const noteSuccess = (agent: Agent): void => agent.remember({ failures: 0, retryAt: null })
