import type { Duration, EventRecord } from '../model.ts'

/**
 * What became of one event of a batch. `refused`: the sink will not take this one. `held`: not offered, because an earlier
 * event of its subject was refused. `deferred`: not delivered, because the sink went away in mid-batch; `retryAfter` is
 * how many milliseconds it asked for.
 */
export type Delivery =
  | { status: 'delivered' }
  | { status: 'refused'; reason: string }
  | { status: 'held'; reason: string }
  | { status: 'deferred'; reason: string; retryAfter: Duration | null }

/** Where events go. */
export interface EventSink {
  name: string
  /** Largest batch that `deliver` takes. */
  batch: number
  /**
   * Delivers at least once, in order per subject, and answers for each event of the batch by its place. After an event that
   * was not delivered none of the same subject is. Throws `unavailable` when the sink as a whole cannot be reached and no
   * event of the batch was delivered or refused.
   */
  deliver(events: readonly EventRecord[]): Promise<Delivery[]>
}
