import { expect, test } from 'vitest'
import { toEnvelope } from '../../src/events/envelope.ts'
import { eventRecord, eventSinkContract } from '../contract/event-sink.ts'
import { fakeSink } from '../fakes/sink.ts'

eventSinkContract('the fake sink', async () => {
  const sink = fakeSink()
  return {
    sink,
    received: async () => sink.received.map(toEnvelope),
    down: async () => sink.down(),
    up: async () => sink.up(),
    refuse: async (id) => void sink.refuse(id),
    end: async () => undefined,
  }
})

test('the fake sink can go away in mid-batch', async () => {
  const sink = fakeSink()
  sink.down({ after: 1, retryAfter: 5_000 })
  const answer = await sink.deliver([eventRecord(1), eventRecord(2), eventRecord(3)])
  const deferred = { status: 'deferred', reason: 'sink "fake" is down', retryAfter: 5_000 }
  expect(answer).toEqual([{ status: 'delivered' }, deferred, deferred])
})
