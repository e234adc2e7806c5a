import { expect, test } from 'vitest'
import { type Attempt, deliverInOrder } from '../../src/events/in-order.ts'
import { eventRecord } from '../contract/event-sink.ts'
import { settle } from '../fakes/clock.ts'

const delivered: Attempt = { status: 'delivered' }
const down: Attempt = { status: 'down', reason: 'no answer', retryAfter: 7_000 }

test('subjects go side by side, so many at once, and each event waits for the one before it', async () => {
  const inside = new Map<string, (attempt: Attempt) => void>()
  const events = ['a', 'a', 'b', 'c', 'd'].map((subject, at) => eventRecord(at + 1, { subject }))
  const answer = deliverInOrder(events, 3, ({ id }) => new Promise((resolve) => inside.set(id, resolve)))
  const answerTo = async (id: string) => {
    inside.get(id)?.(delivered)
    inside.delete(id)
    await settle()
  }
  await settle()
  expect([...inside.keys()]).toEqual(['event-1', 'event-3', 'event-4'])
  await answerTo('event-1')
  expect([...inside.keys()]).toEqual(['event-3', 'event-4', 'event-2'])
  await answerTo('event-3')
  expect([...inside.keys()]).toEqual(['event-4', 'event-2', 'event-5'])
  for (const id of ['event-2', 'event-4', 'event-5']) await answerTo(id)
  expect(await answer).toEqual(events.map(() => delivered))
})

test('a sink that goes away in mid-batch keeps what it took, and the rest is told apart from refusals', async () => {
  const events = ['a', 'a', 'a', 'b'].map((subject, at) => eventRecord(at + 1, { subject }))
  const sent: string[] = []
  const answer = await deliverInOrder(events, 1, async ({ id }) => {
    sent.push(id)
    return id === 'event-2' ? down : delivered
  })
  const deferred = { status: 'deferred', reason: 'no answer', retryAfter: 7_000 }
  expect(answer).toEqual([delivered, deferred, deferred, deferred])
  expect(sent).toEqual(['event-1', 'event-2'])
})

test('what was on its way when the sink went away is waited for and counts', async () => {
  const events = ['a', 'b', 'b'].map((subject, at) => eventRecord(at + 1, { subject }))
  const sent: string[] = []
  const answer = await deliverInOrder(events, 2, async ({ id }) => {
    sent.push(id)
    if (id === 'event-1') return down
    await settle()
    return delivered
  })
  expect(answer.map(({ status }) => status)).toEqual(['deferred', 'delivered', 'deferred'])
  expect(sent).toEqual(['event-1', 'event-2'])
})

test('a sink that takes nothing at all is unavailable, for as long as it said', async () => {
  const events = [eventRecord(1), eventRecord(2)]
  await expect(deliverInOrder(events, 4, async () => down)).rejects.toMatchObject({
    code: 'unavailable',
    message: 'no answer',
    retryAfter: 7_000,
  })
})

test('a refusal is told even when the sink goes away after it', async () => {
  const events = ['a', 'a', 'b'].map((subject, at) => eventRecord(at + 1, { subject }))
  const answer = await deliverInOrder(events, 1, async ({ subject }) =>
    subject === 'a' ? { status: 'refused', reason: 'too odd' } : down,
  )
  expect(answer.map(({ status }) => status)).toEqual(['refused', 'held', 'deferred'])
})
