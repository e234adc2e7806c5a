import type { Clock } from '../clock/clock.ts'
import { EverleafError, messageOf } from '../errors.ts'
import type { Duration, Instant } from '../model.ts'
import type { JobOptions, Queue } from '../queue/queue.ts'
import { type Cadence, readCadence } from './cadence.ts'

type Payload = Record<string, unknown>
type DueWork = { id: string; payload: Payload }

/** One row of the job table: when to look, what is due, and what to do with one unit of it. */
export interface JobDefinition {
  name: string
  /** How often to look for due work: a cron expression in UTC, with seconds first. */
  cadence: string
  options: JobOptions
  /** The work that is due at `now`, one unit each, with an id that is the same at every look. */
  due(now: Instant): AsyncIterable<DueWork> | Promise<DueWork[]>
  /** Jobs that may be due as soon as a unit of this one did something. */
  nudges?: readonly string[]
  /** What it does holds for good: after a leap of the clock ahead it waits until the clock has stood for a while. */
  patient?: boolean
  /** Does one unit. What it returns is logged where it says a reason, unless it left things as they were. */
  run(payload: Payload): Promise<unknown>
}

export interface SchedulerOptions {
  clock: Clock
  queue: Queue
  jobs: readonly JobDefinition[]
  log: Log
  /** Reads a cadence; node-cron's calendar unless told otherwise. */
  cron?: (expression: string) => Cadence
}

interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface Scheduler {
  /** Looks at every job once, then whenever its cadence says. */
  start(): void
  /** Looks for due work of one job, or of all, now; resolves when what was found is in the queue. Never rejects. */
  tick(name?: string): Promise<void>
  /** Looks soon, because something just became due. Many nudges at once are one look. */
  nudge(name: string): void
  /** No more looks; resolves when the one that goes on has ended. */
  stop(): Promise<void>
}

/** Least time between two nudged looks of one job. */
const nudgeGap: Duration = 100
/** After a longer gap than this, the seconds that were missed are not gone through: each job is looked at once. */
const longestCatchUp = 60
/** A clock that went ahead by more than this at once, in seconds, may be wrong and come back, */
const leap = 3_600
/** and patient jobs wait this long for it, in seconds. */
const patience = 600
const firstPause: Duration = 1_000
const longestPause: Duration = 60_000

/** A job and the state of its looks, which never overlap. */
interface Row {
  job: JobDefinition
  falls: Cadence
  looking: Promise<void> | null
  /** One more look, asked for while one was going on. */
  again: Promise<void> | null
  nudged: boolean
  lastLook: Instant
  failures: number
  pausedUntil: Instant
}

/** Decides when each job looks for due work, and puts what is due into the queue. It owns time; the queue does not. */
export const createScheduler = ({ clock, queue, jobs, log, cron = readCadence }: SchedulerOptions): Scheduler => {
  const stopping = new AbortController()
  const rows = new Map<string, Row>()
  for (const job of jobs) {
    if (rows.has(job.name)) throw new EverleafError('internal', `two jobs are named "${job.name}"`)
    rows.set(job.name, {
      job,
      falls: cron(job.cadence),
      looking: null,
      again: null,
      nudged: false,
      lastLook: Number.NEGATIVE_INFINITY,
      failures: 0,
      pausedUntil: Number.NEGATIVE_INFINITY,
    })
    queue.process(job.name, job.options, async (payload) => report(job, payload, await job.run(payload)))
  }

  const report = (job: JobDefinition, payload: Payload, outcome: unknown): void => {
    if (outcome === null || typeof outcome !== 'object' || !('reason' in outcome)) return
    if ('act' in outcome && outcome.act === 'leave') return
    for (const next of job.nudges ?? []) nudge(next)
    const message =
      'message' in outcome && typeof outcome.message === 'string' ? outcome.message : String(outcome.reason)
    log.info(
      { ...payload, job: job.name, act: 'act' in outcome ? outcome.act : undefined, reason: outcome.reason },
      message,
    )
  }

  const look = async (row: Row): Promise<void> => {
    const { job } = row
    const now = clock.now()
    row.lastLook = now
    try {
      for await (const { id, payload } of await job.due(now)) {
        if (stopping.signal.aborted) break
        if ((await queue.enqueue({ name: job.name, id, payload })) !== 'full') continue
        log.warn({ job: job.name, id }, 'queue is full; the next look brings the rest')
        break
      }
      row.failures = 0
    } catch (error) {
      const pause = Math.min(longestPause, firstPause * 2 ** row.failures++)
      row.pausedUntil = clock.now() + pause
      log.error({ job: job.name, reason: messageOf(error), pauseMs: pause }, 'looking for due work failed')
    }
  }

  const begin = (row: Row): Promise<void> => {
    row.looking = look(row).finally(() => {
      row.looking = null
    })
    return row.looking
  }

  /** A full look that begins after this call: now, or when the one that goes on has ended. */
  const fullLook = (row: Row): Promise<void> => {
    if (stopping.signal.aborted) return row.looking ?? Promise.resolve()
    if (row.looking === null) return begin(row)
    row.again ??= row.looking.then(() => {
      row.again = null
      return fullLook(row)
    })
    return row.again
  }

  /** A look that may be left out: while one goes on, and for a while after one failed. */
  const easyLook = (row: Row): void => {
    const paused = row.failures > 0 && clock.now() < row.pausedUntil && row.pausedUntil - clock.now() <= longestPause
    if (row.looking === null && !paused) void begin(row)
  }

  const nudgeSoon = async (row: Row): Promise<void> => {
    const wait = Math.min(nudgeGap, row.lastLook + nudgeGap - clock.now())
    if (wait > 0) await clock.sleep(wait, stopping.signal)
    row.nudged = false
    await fullLook(row)
  }

  /** The second from which patient jobs trust the clock again. */
  let trustedFrom = Number.NEGATIVE_INFINITY

  const rowOf = (name: string): Row => {
    const row = rows.get(name)
    if (row === undefined)
      throw new EverleafError('internal', `no job is named "${name}"; there are ${[...rows.keys()].join(', ')}`)
    return row
  }

  /** Begins the looks that fell due since the second `last`; returns the second of now. */
  const lookAround = (last: number): number => {
    const second = secondOf(clock.now())
    const jumped = second < last || second - last > longestCatchUp
    if (second < last) trustedFrom = second
    if (second - last > leap) trustedFrom = second + patience
    const held = second < trustedFrom ? { patientForSeconds: trustedFrom - second } : {}
    if (jumped) log.warn({ seconds: second - last, ...held }, 'the clock jumped; every job looks once')
    for (const row of rows.values())
      if (!(row.job.patient && second < trustedFrom) && (jumped || fallsBetween(row.falls, last, second))) easyLook(row)
    return second
  }

  const everySecond = async (): Promise<void> => {
    let last = secondOf(clock.now())
    trustedFrom = last
    for (const row of rows.values()) easyLook(row)
    while (!stopping.signal.aborted) {
      await clock.sleep(1_000 - (clock.now() % 1_000), stopping.signal)
      try {
        last = lookAround(last)
      } catch (error) {
        log.error({ reason: messageOf(error) }, 'a look around failed; the next one is in a second')
      }
    }
  }

  const endQuietly = (error: unknown): void => {
    if (!stopping.signal.aborted) log.error({ reason: messageOf(error) }, 'the scheduler lost its clock')
  }

  const nudge = (name: string): void => {
    const row = rowOf(name)
    if (row.nudged || stopping.signal.aborted) return
    row.nudged = true
    nudgeSoon(row).catch(endQuietly)
  }

  return {
    start() {
      everySecond().catch(endQuietly)
    },
    async tick(name) {
      await Promise.all((name === undefined ? [...rows.values()] : [rowOf(name)]).map(fullLook))
    },
    nudge,
    async stop() {
      stopping.abort()
      await Promise.all([...rows.values()].map((row) => row.looking))
    },
  }
}

const secondOf = (instant: Instant): number => Math.floor(instant / 1_000)

/** Whether the cadence falls on a second after `last` and up to `second`. */
const fallsBetween = (falls: Cadence, last: number, second: number): boolean => {
  for (let at = last + 1; at <= second; at++) if (falls(at * 1_000)) return true
  return false
}
