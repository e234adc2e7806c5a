import type { Duration } from '../model.ts'

/**
 * How long to wait after the `failures`-th failure: a share of a bound that doubles up to `maxBackoff` (full jitter).
 * Where the neighbour said when to come back, that is the least, and the share comes on top, so that not all come at once.
 */
export const backoffFor = (
  failures: number,
  { backoff, maxBackoff }: { backoff: Duration; maxBackoff: Duration },
  { fraction, retryAfter }: { fraction: number; retryAfter: Duration | null },
): Duration => {
  const bound = Math.min(maxBackoff, backoff * 2 ** Math.max(0, failures - 1))
  return Math.max(0, retryAfter ?? 0) + bound * fraction
}
