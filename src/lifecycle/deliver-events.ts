import { EverleafError, messageOf } from '../errors.ts'
import type { Delivery, EventSink } from '../events/events.ts'
import type { Decision, EventRecord, Instant } from '../model.ts'
import { retryDelay } from '../policy/delivery.ts'
import type { ParkedEvent, Store } from '../store/store.ts'
import type { Ports } from './ports.ts'

type DeliverPorts = Pick<Ports, 'store' | 'clock' | 'random' | 'sinks'>

/** What is offered to the sink now. `blocked` waits for an earlier event of its subject. */
interface Offer {
  from: 'parked' | 'outbox'
  events: EventRecord[]
  attempts: ReadonlyMap<number, number>
  blocked: EventRecord[]
  /** The cursor after this offer; null: it stays. */
  cursor: number | null
}

/**
 * Delivers the outbox to one sink: first what was parked and is due, then what lies behind the cursor, at least once and
 * in order per subject (P6). A refused event parks its subject, others go on; a sink out of reach stops everything.
 */
export const deliverEvents = async ({ sink: name }: { sink: string }, ports: DeliverPorts): Promise<Decision> => {
  const { store, clock, sinks, random } = ports
  const sink = sinks.get(name)
  if (!sink) throw new EverleafError('not-found', `no event sink ${name}`)
  let delivered = 0
  let failures = 0
  for (;;) {
    const now = clock.now()
    const offer = await nextOffer(sink, store, now) // gather
    if (offer === null) break // decide
    const deliveries = await deliver(sink, offer, () => failures++) // act
    const parked = toPark(offer, deliveries, now, random)
    await recordOutcome(sink.name, offer, deliveries, parked, store) // record
    delivered += deliveries.filter(({ status }) => status === 'delivered').length
    const outage = deliveries.find((delivery) => delivery.status === 'deferred')
    if (outage !== undefined)
      throw new EverleafError(
        'unavailable',
        `event sink ${name} went away after ${delivered} events: ${outage.reason}`,
        {
          retryAfter: outage.retryAfter ?? undefined,
        },
      )
  }
  const act = delivered > 0 ? 'deliver' : 'leave'
  return { act, reason: delivered > 0 ? 'outbox' : 'empty', message: `${delivered} events to ${name}` }
}

/**
 * An event for which the receiver always fails must not keep the sink from all others: where what was parked makes the sink
 * fail, its first subject counts as refused and the rest is offered without it. When that fails too, `countFailure` was not
 * zero, it is the sink: all of it counts as refused, and the outbox is offered next.
 */
const deliver = async (sink: EventSink, offer: Offer, countFailure: () => number): Promise<Delivery[]> => {
  if (offer.events.length === 0) return []
  try {
    return await sink.deliver(offer.events)
  } catch (error) {
    if (offer.from === 'outbox') throw error
    const isSink = countFailure() > 0
    const reason = messageOf(error)
    const suspects = new Set(isSink ? offer.events.map(({ subject }) => subject) : [offer.events[0]?.subject])
    return offer.events.map(({ subject }) => ({ status: suspects.delete(subject) ? 'refused' : 'held', reason }))
  }
}

const nextOffer = async (sink: EventSink, store: Store, now: Instant): Promise<Offer | null> => {
  const due = await store.events.parkedDue(sink.name, now, sink.batch)
  if (due.length > 0) {
    const attempts = new Map(due.map((parked) => [parked.event.sequence, parked.attempts]))
    return { from: 'parked', events: due.map(({ event }) => event), attempts, blocked: [], cursor: null }
  }
  const unseen = await store.events.after(await store.events.cursor(sink.name), sink.batch)
  const last = unseen.at(-1)
  if (!last) return null
  const waiting = new Set(await store.events.parkedSubjects(sink.name))
  return {
    from: 'outbox',
    events: unseen.filter(({ subject }) => !waiting.has(subject)),
    attempts: new Map(),
    blocked: unseen.filter(({ subject }) => waiting.has(subject)),
    cursor: last.sequence,
  }
}

/** A refused event waits for its next try; a deferred or blocked one waits for those before it. */
const toPark = (
  offer: Offer,
  deliveries: readonly Delivery[],
  now: Instant,
  random: Ports['random'],
): ParkedEvent[] => {
  const parked = offer.blocked.map((event) => behind(event, 0, now))
  offer.events.forEach((event, index) => {
    const delivery = deliveries[index]
    const attempts = offer.attempts.get(event.sequence) ?? 0
    if (delivery?.status === 'refused')
      parked.push({
        event,
        attempts: attempts + 1,
        nextAttemptAt: now + retryDelay(attempts, random.fraction()),
        reason: delivery.reason,
      })
    else if (delivery?.status !== 'delivered' && offer.from === 'outbox') parked.push(behind(event, attempts, now))
  })
  return parked
}

const behind = (event: EventRecord, attempts: number, now: Instant): ParkedEvent => ({
  event,
  attempts,
  nextAttemptAt: now,
  reason: 'waits for an earlier event of its subject',
})

const recordOutcome = async (
  sink: string,
  offer: Offer,
  deliveries: readonly Delivery[],
  parked: readonly ParkedEvent[],
  store: Store,
): Promise<void> =>
  store.transaction(async (tx) => {
    for (const each of parked) await tx.events.park(sink, each)
    if (offer.from === 'parked')
      for (const [index, event] of offer.events.entries())
        if (deliveries[index]?.status === 'delivered') await tx.events.unpark(sink, event.sequence)
    if (offer.cursor !== null) await tx.events.setCursor(sink, offer.cursor)
  })
