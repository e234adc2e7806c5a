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
    const end = Date.now() + duration
    for (let left = duration; left > 0; left = end - Date.now()) await nap(Math.min(left, longestNap), signal)
  },
}
