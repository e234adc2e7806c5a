import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import type { EventSink } from '../../src/events/events.ts'
import { deliverEvents } from '../../src/lifecycle/deliver-events.ts'
import type { EventRecord } from '../../src/model.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { type FakeClock, fakeClock } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'
import { type FakeSink, fakeSink } from '../fakes/sink.ts'
import { event as eventOf } from '../support/records.ts'

let store: Store
let clock: FakeClock
let sink: FakeSink
let other: FakeSink
beforeEach(async () => {
  store = await openSqlite({ file: ':memory:' })
  clock = fakeClock()
  sink = fakeSink({ batch: 10 })
  other = fakeSink({ name: 'other', batch: 3 })
})
afterEach(() => store.close())

const random = seededRandom()
const append = (subject: string, count = 1): Promise<EventRecord[]> =>
  store.transaction(async (tx) => {
    const events = []
    for (let index = 0; index < count; index++)
      events.push(await tx.events.append(eventOf({ subject, time: clock.now(), detail: { index } })))
    return events
  })
const sinks = (...all: EventSink[]) => new Map(all.map((each) => [each.name, each]))
const deliver = (to: EventSink = sink, from: Store = store) =>
  deliverEvents({ sink: to.name }, { store: from, clock, random, sinks: sinks(to) })
/** Looks every few seconds until nothing is left to deliver to it. */
const drain = async (to: EventSink = sink, step = 5_000) => {
  for (let look = 0; look < 2_000; look++) {
    await deliver(to).catch((error) => {
      if (!(error instanceof EverleafError)) throw error
    })
    if ((await isEmpty(to)) === true) return
    await clock.advance(step)
  }
  throw new Error(`${to.name} never got everything`)
}
const isEmpty = async ({ name }: EventSink) =>
  (await store.events.parkedSubjects(name)).length === 0 &&
  (await store.events.after(await store.events.cursor(name), 1)).length === 0
const ids = (events: readonly EventRecord[]) => events.map(({ id }) => id)
const ofSubject = (events: readonly EventRecord[], subject: string) =>
  events.filter((event) => event.subject === subject)

/** A sink that fails as a whole, before it takes any, at the first of these events. */
const failingAt = (inner: FakeSink, poison: ReadonlySet<string>): EventSink => ({
  name: inner.name,
  batch: inner.batch,
  async deliver(events) {
    const at = events.findIndex(({ id }) => poison.has(id))
    if (at === 0) throw new EverleafError('unavailable', 'the receiver answered 500')
    const taken = await inner.deliver(at < 0 ? events : events.slice(0, at))
    const rest = events.slice(taken.length).map(() => ({ reason: 'the receiver answered 500', retryAfter: null }))
    return [...taken, ...rest.map((each) => ({ status: 'deferred' as const, ...each }))]
  },
})

describe('an event is delivered at least once and in order per subject (P6)', () => {
  test('in the order of the changes, in batches that the sink takes, and once where nothing fails', async () => {
    const events = await append('device-1', 25)
    expect(await deliver()).toMatchObject({ act: 'deliver', reason: 'outbox' })
    expect(ids(sink.received)).toEqual(ids(events))
    expect(await deliver()).toMatchObject({ act: 'leave', reason: 'empty' })
    expect(sink.received).toHaveLength(25)
  })

  test('an unknown sink is not found', async () => {
    await expect(
      deliverEvents({ sink: 'nowhere' }, { store, clock, random, sinks: sinks(sink) }),
    ).rejects.toMatchObject({
      code: 'not-found',
    })
  })

  test('each of two sinks has its own cursor: one that is down does not hold back the other', async () => {
    const events = await append('device-1', 5)
    sink.down()
    await expect(deliver(sink)).rejects.toMatchObject({ code: 'unavailable' })
    await deliver(other)
    expect(ids(other.received)).toEqual(ids(events))
    expect(sink.received).toEqual([])
    sink.up()
    await deliver(sink)
    expect(ids(sink.received)).toEqual(ids(events))
  })

  test('a sink that was down for a month gets everything, exactly in order', async () => {
    const events: EventRecord[] = []
    sink.down()
    for (let day = 0; day < 30; day++) {
      events.push(...(await append(`device-${day % 4}`, 3)))
      await expect(deliver()).rejects.toMatchObject({ code: 'unavailable' })
      await clock.advance(86_400_000)
    }
    sink.up()
    await deliver()
    expect(ids(sink.received)).toEqual(ids(events))
  })

  test('one that goes away in mid-batch is told of with the time it asked for, and goes on where it stopped', async () => {
    const events = await append('device-1', 8)
    sink.down({ after: 3, retryAfter: 7_000 })
    await expect(deliver()).rejects.toMatchObject({ code: 'unavailable', retryAfter: 7_000 })
    expect(ids(sink.received)).toEqual(ids(events.slice(0, 3)))
    sink.up()
    await deliver()
    expect(ids(sink.received)).toEqual(ids(events))
  })

  test('dying between the delivery and its record repeats events under the same id, and loses none', async () => {
    const events = await append('device-1', 4)
    const dying: Store = {
      ...store,
      transaction: () => Promise.reject(new Error('the process died')),
    }
    await expect(deliver(sink, dying)).rejects.toThrow('died')
    expect(await store.events.cursor(sink.name)).toBe(0)
    await deliver()
    expect(ids(sink.received)).toEqual([...ids(events), ...ids(events)])
  })
})

describe('an event that the sink refuses', () => {
  test('holds back its own subject only', async () => {
    const [first] = await append('device-1', 3)
    const others = await append('device-2', 3)
    sink.refuse(first?.id ?? '')
    await deliver()
    expect(ids(sink.received)).toEqual(ids(others))
    const later = [...(await append('device-1', 1)), ...(await append('device-2', 1))]
    await deliver()
    expect(ids(sink.received)).toEqual([...ids(others), ...ids(later.slice(1))])
    sink.accept(first?.id ?? '')
    await drain()
    expect(ids(ofSubject(sink.received, 'device-1'))).toEqual(ids(ofSubject(await store.events.tail(100), 'device-1')))
  })

  test('is offered again with growing pauses, and what waits behind it follows in order', async () => {
    const events = await append('device-1', 4)
    const poison = events[1]?.id ?? ''
    sink.refuse(poison)
    await deliver()
    const tries: number[] = []
    const start = clock.now()
    for (let calls = sink.calls; clock.now() < start + 6 * 3_600_000; calls = sink.calls) {
      await clock.advance(1_000)
      await deliver()
      if (sink.calls > calls) tries.push(clock.now())
    }
    const gaps = tries.slice(1).map((at, index) => at - (tries[index] ?? 0))
    expect(tries.length).toBeGreaterThan(8)
    expect(tries.length).toBeLessThan(40)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(3_601_000)
    expect(Math.max(...gaps)).toBeGreaterThan(1_800_000)
    sink.accept(poison)
    await clock.advance(3_601_000)
    await deliver()
    expect(ids(sink.received)).toEqual(ids(events))
    expect(await store.events.parkedSubjects(sink.name)).toEqual([])
  })

  test('says why in what is parked', async () => {
    const [event] = await append('device-1')
    sink.refuse(event?.id ?? '', 'the receiver answered 422')
    await deliver()
    const [parked] = await store.events.parkedDue(sink.name, clock.now() + 3_600_000, 10)
    expect(parked).toMatchObject({ attempts: 1, reason: 'the receiver answered 422' })
  })
})

describe('an event for which the sink fails as a whole', () => {
  test('does not keep parked events of other subjects from being delivered', async () => {
    await append('device-0')
    const [poison] = await append('device-1')
    const innocent = [...(await append('device-2', 2)), ...(await append('device-3', 2))]
    const failing = failingAt(sink, new Set([poison?.id ?? '']))
    await expect(deliver(failing)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await deliver(failing)).toMatchObject({ act: 'deliver' })
    expect(ids(sink.received.slice(1))).toEqual(ids(innocent))
    expect(await store.events.parkedSubjects(sink.name)).toEqual(['device-1'])
  })

  test('does not keep the outbox from being delivered', async () => {
    await append('device-0')
    const [poison] = await append('device-1')
    const failing = failingAt(sink, new Set([poison?.id ?? '']))
    await expect(deliver(failing)).rejects.toMatchObject({ code: 'unavailable' })
    const later = await append('device-2', 30)
    await deliver(failing)
    expect(ids(ofSubject(sink.received, 'device-2'))).toEqual(ids(later))
    await clock.advance(2_000)
    await deliver(sink)
    expect(ofSubject(sink.received, 'device-1')).toHaveLength(1)
  })

  test('counts as an outage of the sink where everything fails: it is asked twice for what is parked, not once a subject', async () => {
    const events = []
    for (let index = 0; index < 8; index++) events.push(...(await append(`device-${index}`)))
    for (const { id } of events) sink.refuse(id)
    await deliver()
    for (const { id } of events) sink.accept(id)
    sink.down()
    await clock.advance(5_000)
    const before = sink.calls
    await deliver()
    expect(sink.calls - before).toBe(2)
    sink.up()
    await drain()
    expect(new Set(ids(sink.received))).toEqual(new Set(ids(events)))
  })
})

type Step =
  | { kind: 'append'; subject: number; count: number }
  | { kind: 'refuse' | 'accept'; pick: number }
  | { kind: 'down'; after: number }
  | { kind: 'up' | 'deliver' | 'die' }
  | { kind: 'refuse-newest' }
  | { kind: 'wait'; seconds: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), subject: fc.nat(3), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constantFrom('refuse' as const, 'accept' as const), pick: fc.nat(50) }),
  fc.record({ kind: fc.constant('down' as const), after: fc.nat(6) }),
  fc.record({ kind: fc.constantFrom('up' as const, 'deliver' as const, 'deliver' as const, 'die' as const) }),
  fc.constant({ kind: 'refuse-newest' as const }),
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 5_000 }) }),
)

test('whatever fails in between: every event arrives, its first arrival in the order of its subject', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const own = await openSqlite({ file: ':memory:' })
      const outer = store
      store = own
      sink = fakeSink({ batch: 4 })
      try {
        const all: EventRecord[] = []
        for (const each of steps) await run(each, all)
        sink.up()
        for (const { id } of all) sink.accept(id)
        await drain()
        const firsts = sink.received.filter(({ id }, index) => ids(sink.received).indexOf(id) === index)
        for (const subject of new Set(all.map((each) => each.subject)))
          expect(ids(ofSubject(firsts, subject))).toEqual(ids(ofSubject(all, subject)))
      } finally {
        store = outer
        await own.close()
      }
    }),
    { seed: 20_270_101, numRuns: 25 },
  )

  async function run(each: Step, all: EventRecord[]): Promise<void> {
    if (each.kind === 'append') all.push(...(await append(`device-${each.subject}`, each.count)))
    if (each.kind === 'refuse' || each.kind === 'accept') sink[each.kind](all[each.pick % (all.length || 1)]?.id ?? '')
    if (each.kind === 'refuse-newest') sink.refuse(all.at(-1)?.id ?? '')
    if (each.kind === 'down') sink.down({ after: each.after })
    if (each.kind === 'up') sink.up()
    if (each.kind === 'wait') await clock.advance(each.seconds * 1_000)
    const from =
      each.kind === 'die' ? { ...store, transaction: () => Promise.reject(new Error('the process died')) } : store
    if (each.kind === 'deliver' || each.kind === 'die') await deliver(sink, from).catch(() => undefined)
  }
})
