import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../clock/clock.ts'
import { EverleafError, isEverleafError, messageOf } from '../errors.ts'
import type { Random } from '../random/random.ts'
import { backoffFor } from './backoff.ts'
import { createDeadLetters } from './dead-letters.ts'
import type { Job, JobOptions, Queue } from './queue.ts'

export interface InProcessQueueOptions {
  clock: Clock
  random: Random
  /** Most jobs of one name that wait or back off; more are `full`. Counted per name, so that no name can shut out another. */
  bound?: number
  /** Most dead letters that are kept. */
  deadLetterBound?: number
  log?: { warn(fields: object, message: string): void; error(fields: object, message: string): void }
}

type Handler = (payload: Job['payload']) => Promise<void>

interface Entry {
  job: Job
  failures: number
  /** Ends its backoff early when the queue closes. */
  cancel: AbortController
}

/** All of one name: its own worker limit, so that a slow name never holds back another. */
interface Lane {
  worker: { options: JobOptions; handler: Handler } | null
  /** Waiting, backing off or running, by id. */
  known: Map<string, Entry>
  waiting: Entry[]
  running: number
}

/** The embedded queue. It holds no truth: after a `kill -9` the next sweep finds the same work due again. */
export const createInProcessQueue = (options: InProcessQueueOptions): Queue => {
  const { clock, random, bound = 10_000, deadLetterBound = 1_000, log } = options
  const lanes = new Map<string, Lane>()
  const dead = createDeadLetters(deadLetterBound)
  const idlers = new Set<() => void>()
  let closed = false

  const laneOf = (name: string): Lane => {
    const found = lanes.get(name)
    if (found !== undefined) return found
    const lane: Lane = { worker: null, known: new Map(), waiting: [], running: 0 }
    lanes.set(name, lane)
    return lane
  }

  const isIdle = (): boolean => [...lanes.values()].every((lane) => lane.running === 0 && lane.waiting.length === 0)
  const wakeIdlers = (): void => {
    if (idlers.size === 0 || !isIdle()) return
    for (const wake of idlers) wake()
    idlers.clear()
  }

  const pump = (lane: Lane): void => {
    while (!closed && lane.worker !== null && lane.running < lane.worker.options.concurrency) {
      const entry = lane.waiting.shift()
      if (entry === undefined) break
      lane.running++
      void work(lane, entry, lane.worker)
    }
  }

  const work = async (lane: Lane, entry: Entry, worker: NonNullable<Lane['worker']>): Promise<void> => {
    // Each job starts in a turn of its own: jobs that never wait would otherwise keep requests from being answered.
    await nextTurn()
    try {
      if (closed) return
      // A copy, as a queue behind a network gives: what a failed try did to its payload is not seen by the next.
      await worker.handler(structuredClone(entry.job.payload))
      lane.known.delete(entry.job.id)
    } catch (error) {
      failed(lane, entry, worker.options, error)
    } finally {
      lane.running--
      pump(lane)
      wakeIdlers()
    }
  }

  const failed = (lane: Lane, entry: Entry, limits: JobOptions, error: unknown): void => {
    const { name, id } = entry.job
    const reason = messageOf(error)
    entry.failures++
    const fields = { job: name, id, attempt: entry.failures, attempts: limits.attempts, reason }
    if (closed) {
      lane.known.delete(id)
      log?.warn(fields, 'job failed while the queue closed; the next start finds it due again')
    } else if (entry.failures >= limits.attempts) {
      const now = clock.now()
      // What is still due comes again with the next sweep; the rest keeps that from being a retry without backoff.
      const rest = (limits.maxBackoff / 2) * (1 + random.fraction())
      lane.known.delete(id)
      dead.add({ job: entry.job, attempts: entry.failures, failedAt: now, reason }, now + rest)
      log?.error(fields, 'job failed for the last time and is a dead letter')
    } else {
      const retryAfter = isEverleafError(error) ? error.retryAfter : null
      const wait = backoffFor(entry.failures, limits, { fraction: random.fraction(), retryAfter })
      log?.warn({ ...fields, retryInMs: Math.round(wait) }, 'job failed and will be tried again')
      void backOff(lane, entry, wait)
    }
  }

  const backOff = async (lane: Lane, entry: Entry, wait: number): Promise<void> => {
    try {
      await clock.sleep(wait, entry.cancel.signal)
    } catch (error) {
      if (!entry.cancel.signal.aborted) log?.error({ job: entry.job.name, reason: messageOf(error) }, 'backoff failed')
    }
    if (closed) return
    lane.waiting.push(entry)
    pump(lane)
  }

  const put = (lane: Lane, job: Job): void => {
    const entry: Entry = { job, failures: 0, cancel: new AbortController() }
    lane.known.set(job.id, entry)
    lane.waiting.push(entry)
    pump(lane)
  }

  const dropWhatDoesNotRun = (): void => {
    for (const lane of lanes.values()) {
      for (const entry of lane.known.values()) entry.cancel.abort()
      lane.known.clear()
      lane.waiting = []
    }
  }

  const idle = async (): Promise<void> => {
    if (!isIdle()) await new Promise<void>((resolve) => idlers.add(resolve))
  }

  return {
    process(name, jobOptions, handler) {
      refuseUnusable(name, jobOptions)
      const lane = laneOf(name)
      if (lane.worker !== null) throw new EverleafError('internal', `queue: "${name}" has a handler already`)
      lane.worker = { options: jobOptions, handler }
      pump(lane)
    },

    async enqueue(job) {
      if (closed) return 'full'
      const lane = laneOf(job.name)
      if (lane.known.has(job.id) || dead.rests(job.name, job.id, clock.now())) return 'duplicate'
      if (lane.known.size - lane.running >= bound) return 'full'
      dead.take(job.name, job.id)
      put(lane, job)
      return 'accepted'
    },

    deadLetters: async () => dead.list(),

    async retry(name, id) {
      if (closed) return false
      const letter = dead.take(name, id)
      if (letter === null) return false
      put(laneOf(name), letter.job)
      return true
    },

    idle,

    async close(deadline) {
      closed = true
      dropWhatDoesNotRun()
      wakeIdlers()
      const finished = new AbortController()
      const timeIsUp = clock.sleep(deadline, finished.signal).catch(() => undefined)
      await Promise.race([idle(), timeIsUp])
      finished.abort()
      for (const [name, { running }] of lanes)
        if (running > 0) log?.warn({ job: name, running, deadline }, 'queue closed while jobs were still running')
      for (const wake of idlers) wake()
      idlers.clear()
    },
  }
}

const refuseUnusable = (name: string, options: JobOptions): void => {
  const { concurrency, attempts, backoff, maxBackoff } = options
  const whole = (value: number) => Number.isInteger(value) && value >= 1
  if (!whole(concurrency)) throw wrongOption(name, 'concurrency', concurrency, 'a whole number of at least 1')
  if (!whole(attempts)) throw wrongOption(name, 'attempts', attempts, 'a whole number of at least 1')
  if (!(backoff >= 0)) throw wrongOption(name, 'backoff', backoff, 'milliseconds, at least 0')
  if (!(maxBackoff >= backoff)) throw wrongOption(name, 'maxBackoff', maxBackoff, `at least backoff (${backoff})`)
}

const wrongOption = (name: string, option: string, value: number, right: string): EverleafError =>
  new EverleafError('configuration', `job "${name}": ${option} is ${value}; it must be ${right}`)
