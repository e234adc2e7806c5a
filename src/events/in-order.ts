import { EverleafError } from '../errors.ts'
import type { Duration, EventRecord } from '../model.ts'
import type { Delivery } from './events.ts'

/** What one attempt at one event came to. `down`: the sink as a whole does not take events now. */
export type Attempt =
  | { status: 'delivered' }
  | { status: 'refused'; reason: string }
  | { status: 'down'; reason: string; retryAfter: Duration | null }

/**
 * Sends a batch: strictly in order within a subject, up to `concurrency` subjects at once. The first `down` ends the batch;
 * what is on its way by then is waited for. Keeps the contract of `EventSink.deliver`.
 */
export const deliverInOrder = async (
  events: readonly EventRecord[],
  concurrency: number,
  send: (event: EventRecord) => Promise<Attempt>,
): Promise<Delivery[]> => {
  const deliveries = new Map<EventRecord, Delivery>()
  const subjects = [...bySubject(events).values()]
  let down: { reason: string; retryAfter: Duration | null } | null = null

  const sendSubject = async (ofSubject: readonly EventRecord[]): Promise<void> => {
    for (const [at, event] of ofSubject.entries()) {
      if (down !== null) return
      const attempt = await send(event)
      if (attempt.status === 'down') {
        down ??= { reason: attempt.reason, retryAfter: attempt.retryAfter }
        return
      }
      deliveries.set(event, attempt)
      if (attempt.status === 'delivered') continue
      const reason = `waits behind event ${event.id} of its subject, which was refused`
      for (const later of ofSubject.slice(at + 1)) deliveries.set(later, { status: 'held', reason })
      return
    }
  }
  const worker = async (): Promise<void> => {
    for (let next = subjects.shift(); next !== undefined; next = subjects.shift()) await sendSubject(next)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, subjects.length) }, worker))

  return conclude(events, deliveries, down)
}

const conclude = (
  events: readonly EventRecord[],
  deliveries: ReadonlyMap<EventRecord, Delivery>,
  down: { reason: string; retryAfter: Duration | null } | null,
): Delivery[] => {
  if (down !== null && deliveries.size === 0)
    throw new EverleafError('unavailable', down.reason, { retryAfter: down.retryAfter ?? undefined })
  return events.map((event) => deliveries.get(event) ?? { status: 'deferred', reason: '', retryAfter: null, ...down })
}

const bySubject = (events: readonly EventRecord[]): Map<string, EventRecord[]> => {
  const groups = new Map<string, EventRecord[]>()
  for (const event of events) {
    const group = groups.get(event.subject)
    if (group === undefined) groups.set(event.subject, [event])
    else group.push(event)
  }
  return groups
}
