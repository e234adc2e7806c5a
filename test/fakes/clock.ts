import type { Clock } from '../../src/clock/clock.ts'
import type { Duration, Instant } from '../../src/model.ts'

export interface FakeClock extends Clock {
  /**
   * Moves time on by `ms`, waking sleepers in the order of their deadlines and stopping at each, so that the code woken
   * sees the exact instant and may fall asleep again within the same call.
   */
  advance(ms: Duration): Promise<void>
  /**
   * A jump of the wall clock, forwards or backwards. Sleepers whose deadline is now past wake and see the new time; a jump
   * back makes no sleep longer.
   */
  set(instant: Instant): void
  /** How many sleep now. */
  readonly sleepers: number
  /** Resolves when at least `count` sleep; rejects after ten real seconds. */
  untilSleeping(count?: number): Promise<void>
}

interface Sleeper {
  /** On the wall clock, which jumps. */
  deadline: Instant
  /** On the count of what `advance` has moved, which does not. */
  end: Duration
  wake: () => void
}

/** Long enough for promise chains and immediates; what waits for a thread or a socket needs a condition instead. */
const roundsToSettle = 5

/** Lets everything that can run without time passing run. */
export const settle = async (): Promise<void> => {
  for (let round = 0; round < roundsToSettle; round++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** A clock that stands still until it is told to move. */
export const fakeClock = (start: Instant = Date.UTC(2027, 0, 1)): FakeClock => {
  let now = start
  let elapsed: Duration = 0
  const asleep = new Set<Sleeper>()
  const watchers = new Set<() => void>()

  /** Milliseconds until it wakes, whichever of the two clocks comes first. */
  const left = (sleeper: Sleeper): Duration => Math.min(sleeper.deadline - now, sleeper.end - elapsed)

  const nextDue = (within: Duration): Sleeper | undefined => {
    let next: Sleeper | undefined
    for (const sleeper of asleep)
      if (left(sleeper) <= within && (next === undefined || left(sleeper) < left(next))) next = sleeper
    return next
  }

  const move = (ms: Duration): void => {
    now += ms
    elapsed += ms
  }

  return {
    now: () => now,

    async sleep(duration, signal) {
      signal?.throwIfAborted()
      if (!(duration > 0)) return
      await new Promise<void>((resolve, reject) => {
        const leave = () => {
          asleep.delete(sleeper)
          signal?.removeEventListener('abort', onAbort)
        }
        // Whole milliseconds, as every real clock gives them.
        const sleeper: Sleeper = {
          deadline: now + Math.ceil(duration),
          end: elapsed + Math.ceil(duration),
          wake: () => {
            leave()
            resolve()
          },
        }
        const onAbort = () => {
          leave()
          reject(signal?.reason)
        }
        asleep.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
        for (const look of [...watchers]) look()
      })
    },

    async advance(ms) {
      const end = elapsed + ms
      await settle()
      for (let next = nextDue(end - elapsed); next !== undefined; next = nextDue(end - elapsed)) {
        move(Math.max(0, left(next)))
        next.wake()
        await settle()
      }
      move(Math.max(0, end - elapsed))
      await settle()
    },

    set(instant) {
      now = instant
      for (let next = nextDue(0); next !== undefined; next = nextDue(0)) next.wake()
    },

    get sleepers() {
      return asleep.size
    },

    async untilSleeping(count = 1) {
      if (asleep.size >= count) return
      await new Promise<void>((resolve, reject) => {
        const look = () => {
          if (asleep.size < count) return
          clearTimeout(timer)
          watchers.delete(look)
          resolve()
        }
        const timer = setTimeout(() => {
          watchers.delete(look)
          reject(new Error(`after ten seconds ${asleep.size} sleep on the fake clock, ${count} were awaited`))
        }, 10_000)
        watchers.add(look)
      })
    },
  }
}
