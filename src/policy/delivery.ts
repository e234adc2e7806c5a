import type { Duration } from '../model.ts'

const firstDelay = 1_000
const longestDelay = 3_600_000

/** How long a refused event waits before it is offered again: doubled each time, at most an hour, with half of it drawn. */
export const retryDelay = (attempts: number, fraction: number): Duration => {
  const ceiling = Math.min(longestDelay, firstDelay * 2 ** Math.min(attempts, 30))
  return Math.round(ceiling * (0.5 + fraction / 2))
}
