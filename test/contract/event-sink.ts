import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Envelope } from '../../src/events/envelope.ts'
import type { Delivery, EventSink } from '../../src/events/events.ts'
import type { EventRecord } from '../../src/model.ts'

export interface EventSinkHarness {
  sink: EventSink
  /** What arrived, in the order of arrival, repeats too. */
  received(): Promise<readonly Pick<Envelope, 'id' | 'subject' | 'sequence' | 'detail'>[]>
  down(): Promise<void>
  up(): Promise<void>
  /** Makes the far side refuse this one event; absent where a far side cannot refuse single events. */
  refuse?(id: string): Promise<void>
  end(): Promise<void>
}

/** An event as the outbox holds it. */
export const eventRecord = (sequence: number, overrides: Partial<EventRecord> = {}): EventRecord => ({
  sequence,
  id: `event-${sequence}`,
  time: Date.UTC(2027, 0, 1) + sequence * 1_000,
  detailType: 'Device Enrolled',
  subject: 'pump-7',
  detail: { DeviceId: 'pump-7', Profile: 'default' },
  ...overrides,
})

const delivered = { status: 'delivered' }

/** What every sink must do, whatever is behind it. */
export const eventSinkContract = (title: string, start: () => Promise<EventSinkHarness>): void => {
  describe(`${title} keeps the contract of the event sink`, () => {
    let harness: EventSinkHarness
    let sink: EventSink
    beforeEach(async () => {
      harness = await start()
      sink = harness.sink
    })
    afterEach(() => harness.end())

    const ids = async () => (await harness.received()).map(({ id }) => id)

    test('has a name and a batch', () => {
      expect(sink.name).not.toBe('')
      expect(sink.batch).toBeGreaterThanOrEqual(1)
    })

    test('an empty batch is delivered by doing nothing', async () => {
      expect(await sink.deliver([])).toEqual([])
      expect(await ids()).toEqual([])
    })

    test('an event arrives as it was recorded', async () => {
      const detail = { DeviceId: 'pümp\u2028"7"\n', Profile: 'default', Labels: { site: 'Ørsted', '': '🍃' } }
      const event = eventRecord(42, { detail })
      expect(await sink.deliver([event])).toEqual([delivered])
      const { id, subject, sequence } = event
      expect(await harness.received()).toMatchObject([{ id, subject, sequence, detail }])
    })

    test('a full batch of one subject arrives in order', async () => {
      const events = Array.from({ length: sink.batch }, (_, at) => eventRecord(at + 1))
      expect(await sink.deliver(events)).toEqual(events.map(() => delivered))
      expect(await ids()).toEqual(events.map(({ id }) => id))
    })

    test('a full batch of many subjects arrives, each subject in order', async () => {
      const events = Array.from({ length: sink.batch }, (_, at) => eventRecord(at + 1, { subject: `device-${at % 7}` }))
      expect(await sink.deliver(events)).toEqual(events.map(() => delivered))
      const arrived = await harness.received()
      expect(arrived).toHaveLength(events.length)
      for (const subject of new Set(events.map((event) => event.subject))) {
        const sequences = arrived.filter((event) => event.subject === subject).map(({ sequence }) => sequence)
        expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
      }
    })

    test('a sink that is down takes nothing and says so, and takes it when it is back', async () => {
      await harness.down()
      const events = [eventRecord(1), eventRecord(2, { subject: 'pump-8' })]
      await expect(sink.deliver(events)).rejects.toMatchObject({ name: 'EverleafError', code: 'unavailable' })
      expect(await ids()).toEqual([])
      await harness.up()
      expect(await sink.deliver(events)).toEqual([delivered, delivered])
      expect((await ids()).toSorted()).toEqual(['event-1', 'event-2'])
    })

    test('an event that is refused holds back those of its subject and no others', async ({ skip }) => {
      if (harness.refuse === undefined) return skip('its far side cannot refuse single events')
      await harness.refuse('event-2')
      const answer = await sink.deliver([
        eventRecord(1),
        eventRecord(2),
        eventRecord(3, { subject: 'pump-8' }),
        eventRecord(4),
      ])
      expect(answer.map(({ status }) => status)).toEqual(['delivered', 'refused', 'delivered', 'held'])
      expect(answer[1]).toMatchObject({ reason: expect.stringMatching(/./) })
      expect((await ids()).toSorted()).toEqual(['event-1', 'event-3'])
    })

    test('whatever is refused, the answers tell what arrived and no subject is out of order', async ({ skip }) => {
      const { refuse } = harness
      if (refuse === undefined) return skip('its far side cannot refuse single events')
      let sequence = 0
      const batch = fc.array(fc.record({ subject: fc.constantFrom('a', 'b', 'c'), refused: fc.boolean() }), {
        maxLength: 12,
      })
      await fc.assert(
        fc.asyncProperty(batch, async (plan) => {
          const events = plan.map(({ subject }) => eventRecord(++sequence, { subject }))
          for (const [at, { refused }] of plan.entries()) if (refused) await refuse(events[at]?.id ?? '')
          const before = (await harness.received()).length
          const answer = await sink.deliver(events)
          const arrived = (await harness.received()).slice(before).map(({ id }) => id)
          const told = events.filter((_, at) => answer[at]?.status === 'delivered').map(({ id }) => id)
          expect(arrived.toSorted()).toEqual(told.toSorted())
          for (const subject of ['a', 'b', 'c']) expectNothingAfterAFailure(events, answer, subject)
        }),
        { numRuns: 30 },
      )
    })
  })
}

const expectNothingAfterAFailure = (events: EventRecord[], answer: Delivery[], subject: string): void => {
  const statuses = answer.filter((_, at) => events[at]?.subject === subject).map(({ status }) => status)
  const firstFailure = statuses.findIndex((status) => status !== 'delivered')
  if (firstFailure >= 0) expect(statuses.slice(firstFailure)).not.toContain('delivered')
}
