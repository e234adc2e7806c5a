import { type Agent, noteFailure, noteSuccess } from './agent.ts'
import { isoTime } from './clock.ts'
import { AgentError, codeOf, reasonOf } from './error.ts'
import { loadJournal } from './journal.ts'
import type { Pair } from './pairs.ts'
import { requirePair, round, settle, verdictOn } from './round.ts'
import { contactDelay, isAhead, retryDelay } from './schedule.ts'

/** Longest sleep without a look at the wall clock: a laptop that slept a week must notice within a minute. */
const longestNap = 60_000
/** A clock this far behind is worth a line; less is how clocks are. */
const notableLag = 60_000

/** When the hook that is owed is tried again; null: none is. */
const hookAt = (agent: Agent): number | null => {
  const journal = loadJournal(agent.place.disk, agent.place.directory)
  if (journal?.step !== 'switched') return null
  return isAhead(journal.hook.retryAt, agent.time.now()) ? journal.hook.retryAt : 0
}

/** What cannot be noted, on a full disk say, ends nothing. */
const noteIfPossible = (agent: Agent, note: () => void): void => {
  try {
    note()
  } catch (error) {
    agent.log('the outcome could not be noted', { reason: reasonOf(error) })
  }
}

const soonest = (...instants: (number | null)[]): number => Math.min(...instants.filter((instant) => instant !== null))

/** After a round that went well: the renewal, or before it the next check-in. A server that always says "now" is not asked at once again. */
const afterSuccess = (agent: Agent, pair: Pair): number => {
  noteIfPossible(agent, () => noteSuccess(agent))
  const verdict = verdictOn(agent, pair)
  const nextContact = agent.time.now() + contactDelay(pair.leaf, agent.clock.fraction())
  if (verdict.act === 'renew') return nextContact
  return agent.memory().plain ? verdict.at : soonest(verdict.at, nextContact)
}

/** A round at its time; returns when the next one is due. Whatever fails is noted and tried again later. */
const turn = async (agent: Agent, signal: AbortSignal): Promise<number> => {
  try {
    const { pair } = await round(agent, { forced: false })
    return afterSuccess(agent, pair)
  } catch (error) {
    if (signal.aborted) return agent.time.now()
    if (codeOf(error) !== 'hook') return failed(agent, error)
    agent.log('the hook failed and stays owed', { reason: reasonOf(error) })
    return afterSuccess(agent, requirePair(agent))
  } finally {
    agent.disconnect()
  }
}

/** Notes the failure and returns when to try again. */
const failed = (agent: Agent, error: unknown): number => {
  const { clock, time, log } = agent
  const code = codeOf(error)
  const delay = retryDelay({
    life: requirePair(agent).leaf,
    now: time.now(),
    failures: agent.memory().failures + 1,
    code,
    retryAfter: error instanceof AgentError ? error.retryAfter : null,
    fraction: clock.fraction(),
  })
  const next = Math.round(time.now() + delay)
  noteIfPossible(agent, () => noteFailure(agent, error, next))
  log('failed; nothing is given up', { code, reason: reasonOf(error), next: isoTime(next) })
  return next
}

/** Completes what needs no server, a hook that is owed at once. Null, or when to try again what even this machine refused. */
const complete = async (agent: Agent): Promise<number | null> => {
  try {
    await settle(agent, { hook: 'now' })
    return null
  } catch (error) {
    return failed(agent, error)
  }
}

/** A moment on both clocks, whichever comes first: the wall clock jumps, the monotonic one may stand still while the machine sleeps. */
interface Moment {
  wall: number
  elapsed: number
}

const momentAt = ({ clock, time }: Agent, instant: number): Moment => ({
  wall: instant,
  elapsed: clock.elapsed() + (instant - time.now()),
})

const left = ({ clock, time }: Agent, moment: Moment): number =>
  Math.min(moment.wall - time.now(), moment.elapsed - clock.elapsed())

const sleepUntil = async (agent: Agent, moment: Moment, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted && left(agent, moment) > 0) {
    await agent.clock.sleep(Math.min(left(agent, moment), longestNap), signal)
  }
}

const warnOfClock = ({ clock, time, log }: Agent): void => {
  const lag = time.floor() - clock.now()
  if (lag > notableLag) {
    log('the clock is wrong: signatures prove a later time, which is used instead', {
      clock: isoTime(clock.now()),
      used: isoTime(Math.round(time.now())),
    })
  }
}

/** Keeps the certificate alive until the signal aborts. Throws only when there is nothing to keep alive. */
export const run = async (agent: Agent, signal: AbortSignal): Promise<void> => {
  const onAbort = () => agent.disconnect()
  signal.addEventListener('abort', onAbort)
  const retryAt = await complete(agent)
  const { leaf } = requirePair(agent)
  warnOfClock(agent)
  agent.log('running', { subject: leaf.subjectText, notAfter: isoTime(leaf.notAfter), server: agent.settings.server })
  /** A fleet that lost its power together does not call together. */
  const spread = Math.min(60_000, (leaf.notAfter - leaf.notBefore) / 100)
  let nextRound = momentAt(agent, retryAt ?? agent.time.now() + agent.clock.fraction() * spread)
  /** What the journal could not take is tried again with the next round, not at once and for ever. */
  let isJournalStuck = retryAt !== null
  while (!signal.aborted) {
    const hook = isJournalStuck ? null : hookAt(agent)
    const forHook = hook !== null && hook - agent.time.now() < left(agent, nextRound)
    await sleepUntil(agent, forHook ? momentAt(agent, hook) : nextRound, signal)
    if (signal.aborted) break
    const stuckUntil = forHook ? await complete(agent) : null
    isJournalStuck = stuckUntil !== null
    if (stuckUntil !== null) nextRound = momentAt(agent, stuckUntil)
    else if (!forHook) nextRound = momentAt(agent, await turn(agent, signal))
  }
  signal.removeEventListener('abort', onAbort)
  agent.log('stopped')
}
