import type { Duration, Instant } from '../model.ts'

/** The only source of time. */
export interface Clock {
  now(): Instant
  /** Resolves after `duration`, however long, measured on the wall clock; rejects with the signal's reason when aborted. */
  sleep(duration: Duration, signal?: AbortSignal): Promise<void>
}
