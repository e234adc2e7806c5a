/** Time and chance of the agent: the only file of it that asks the system for either. */
export interface AgentClock {
  /** Wall clock, Unix milliseconds. May be wrong and may jump. */
  now(): number
  /** Milliseconds since some fixed moment; never jumps, may stand still while the machine sleeps. */
  elapsed(): number
  /** Resolves after `duration` milliseconds (at most a minute or so), or earlier when the signal aborts. */
  sleep(duration: number, signal: AbortSignal): Promise<void>
  /** Aborts after `duration` milliseconds; does not keep the process alive. */
  deadline(duration: number): AbortSignal
  /** A number in [0, 1), for jitter only. */
  fraction(): number
}

export const systemClock: AgentClock = {
  now: () => Date.now(),
  elapsed: () => process.uptime() * 1000,
  sleep: (duration, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const finish = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, duration)
      signal.addEventListener('abort', finish)
    }),
  deadline: (duration) => AbortSignal.timeout(duration),
  fraction: () => Math.random(),
}

/** The time that decisions use: the wall clock, unless it is before what verified signatures prove to be past. */
export interface Timekeeper {
  now(): number
  /** The newest instant known to be past, Unix milliseconds. */
  floor(): number
  /** The wall clock is before the floor, so it is wrong. */
  behind(): boolean
  /** Tells an instant that a verified signature proves to be past. */
  raise(instant: number): void
}

/** While the wall clock is behind, time goes on from the floor with the monotonic clock. */
export const createTimekeeper = (clock: AgentClock, floor: number): Timekeeper => {
  let known = floor
  let base = floor
  let since = clock.elapsed()
  const proven = () => base + (clock.elapsed() - since)
  const behind = () => clock.now() < known
  return {
    now: () => (behind() ? proven() : clock.now()),
    floor: () => known,
    behind,
    raise(instant) {
      if (instant > proven()) {
        base = instant
        since = clock.elapsed()
      }
      known = Math.max(known, instant)
    },
  }
}

/** An instant as ISO 8601 text in whole seconds where it has no more. */
export const isoTime = (instant: number): string => new Date(instant).toISOString().replace('.000Z', 'Z')
