import type { Duration, Instant } from '../model.ts'

/**
 * Remembers since when each key has something waiting, and says when it has waited `duration`: what comes close together
 * is done at once. Forgetting this at a restart only means to wait anew.
 */
export const settled = (duration: Duration): ((key: string, waiting: boolean, now: Instant) => boolean) => {
  const since = new Map<string, Instant>()
  return (key, waiting, now) => {
    if (!waiting) {
      since.delete(key)
      return false
    }
    const start = Math.min(since.get(key) ?? now, now)
    since.set(key, start)
    return now - start >= duration
  }
}
