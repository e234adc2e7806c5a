import { EverleafError } from '../../src/errors.ts'
import type { Delivery, EventSink } from '../../src/events/events.ts'
import type { Duration, EventRecord } from '../../src/model.ts'

export interface FakeSink extends EventSink {
  /** What was taken, in the order of arrival, repeats too. */
  received: EventRecord[]
  /** How often `deliver` was called. */
  calls: number
  /** From now on it cannot be reached; `after` events more are still taken first. */
  down(options?: { after?: number; retryAfter?: Duration }): void
  up(): void
  /** It will not take this event, until told to `accept` it. */
  refuse(id: string, reason?: string): void
  accept(id: string): void
}

/** A sink in memory that keeps the contract of the port and can be broken as real ones are. */
export const fakeSink = ({ name = 'fake', batch = 100 }: { name?: string; batch?: number } = {}): FakeSink => {
  const refused = new Map<string, string>()
  let outage: { left: number; retryAfter: Duration | null } | null = null

  const deliverOne = (event: EventRecord, behind: Map<string, Delivery>): Delivery => {
    const earlier = behind.get(event.subject)
    if (earlier?.status === 'refused') return { status: 'held', reason: 'an earlier event of its subject was refused' }
    if (earlier !== undefined) return earlier
    const delivery = tryOne(event)
    if (delivery.status === 'delivered') sink.received.push(event)
    else behind.set(event.subject, delivery)
    return delivery
  }

  const tryOne = (event: EventRecord): Delivery => {
    if (outage !== null && outage.left-- <= 0)
      return { status: 'deferred', reason: `sink "${name}" is down`, retryAfter: outage.retryAfter }
    const reason = refused.get(event.id)
    return reason === undefined ? { status: 'delivered' } : { status: 'refused', reason }
  }

  const sink: FakeSink = {
    name,
    batch,
    received: [],
    calls: 0,
    async deliver(events) {
      sink.calls++
      if (events.length > batch) throw new EverleafError('internal', `${events.length} events for a batch of ${batch}`)
      const behind = new Map<string, Delivery>()
      const deliveries = events.map((event) => deliverOne(event, behind))
      if (events.length > 0 && deliveries.every(({ status }) => status === 'deferred'))
        throw new EverleafError('unavailable', `sink "${name}" is down`, {
          retryAfter: outage?.retryAfter ?? undefined,
        })
      return deliveries
    },
    down({ after = 0, retryAfter = null }: { after?: number; retryAfter?: Duration | null } = {}) {
      outage = { left: after, retryAfter }
    },
    up() {
      outage = null
    },
    refuse: (id, reason = 'refused by the test') => refused.set(id, reason),
    accept: (id) => refused.delete(id),
  }
  return sink
}
