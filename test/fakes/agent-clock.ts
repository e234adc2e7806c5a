import { setImmediate } from 'node:timers/promises'
import type { AgentClock } from '../../src/agent/clock.ts'

export interface FlyingClock extends AgentClock {
  /** Moves both clocks on. */
  advance(ms: number): void
  /** Moves the wall clock alone. */
  jump(ms: number): void
  /** Every sleep so far, milliseconds. */
  readonly naps: number[]
}

/** A clock on which nobody waits: a sleep moves the time on at once. Deadlines are real, since they end real connections. */
export const flyingClock = (options: { start?: number; fraction?: () => number } = {}): FlyingClock => {
  let wall = options.start ?? Date.now()
  let monotonic = 0
  const naps: number[] = []
  const advance = (ms: number) => {
    wall += ms
    monotonic += ms
  }
  return {
    now: () => wall,
    elapsed: () => monotonic,
    async sleep(duration, signal) {
      await setImmediate()
      if (signal.aborted) return
      naps.push(duration)
      advance(duration)
    },
    deadline: (duration) => AbortSignal.timeout(duration),
    fraction: options.fraction ?? (() => 0.5),
    advance,
    jump: (ms) => {
      wall += ms
    },
    naps,
  }
}
