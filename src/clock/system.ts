import type { Clock } from './clock.ts'

/** Timers hold at most 2^31-1 ms and ignore wall-clock jumps, so long sleeps look at the clock again every minute. */
const longestNap = 60_000

const nap = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(duration, signal) {
    signal?.throwIfAborted()
    const wall = Date.now() + duration
    // A clock that is set back would prolong the sleep by as much, so the count that never jumps ends it too.
    const steady = performance.now() + duration
    const left = () => Math.min(wall - Date.now(), steady - performance.now())
    while (left() > 0) await nap(Math.min(left(), longestNap), signal)
  },
}
