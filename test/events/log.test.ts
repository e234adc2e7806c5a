import pino from 'pino'
import { expect, test } from 'vitest'
import { createLogSink } from '../../src/events/log.ts'
import { eventRecord, eventSinkContract } from '../contract/event-sink.ts'

eventSinkContract('the log sink', async () => {
  const lines: string[] = []
  let broken = false
  const sink = createLogSink({
    write: (line) => {
      if (broken) throw new Error('the disk is full')
      lines.push(line)
    },
  })
  return {
    sink,
    received: async () => lines.map((line) => JSON.parse(line)),
    down: async () => {
      broken = true
    },
    up: async () => {
      broken = false
    },
    end: async () => undefined,
  }
})

test('each event is one line, whatever is in it', async () => {
  const lines: string[] = []
  const sink = createLogSink({ write: (line) => void lines.push(line) })
  await sink.deliver([eventRecord(1, { detail: { Reason: 'two\nlines\r\nand a tail' } })])
  expect(lines).toEqual([
    '{"version":"0","id":"event-1","detail-type":"Device Enrolled","source":"everleaf","time":"2027-01-01T00:00:01.000Z",' +
      '"subject":"pump-7","sequence":1,"detail":{"Reason":"two\\nlines\\r\\nand a tail"}}',
  ])
})

test('a log that breaks in mid-batch keeps what was written and defers the rest', async () => {
  let room = 2
  const write = async () => {
    if (room-- === 0) throw new Error('the disk is full')
  }
  const answer = await createLogSink({ write }, 'audit').deliver([1, 2, 3, 4].map((at) => eventRecord(at)))
  const deferred = {
    status: 'deferred',
    reason: 'event log "audit" cannot be written: the disk is full',
    retryAfter: null,
  }
  expect(answer).toEqual([{ status: 'delivered' }, { status: 'delivered' }, deferred, deferred])
})

test('a pino logger gets one entry per event, with the envelope and the detail-type as message', async () => {
  const lines: string[] = []
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) })
  await createLogSink({ logger }).deliver([eventRecord(1)])
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    msg: 'Device Enrolled',
    event: { id: 'event-1', source: 'everleaf', detail: { DeviceId: 'pump-7' } },
  })
})
