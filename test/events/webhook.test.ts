import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createWebhookSink, type WebhookOptions } from '../../src/events/webhook.ts'
import { eventRecord, eventSinkContract } from '../contract/event-sink.ts'
import { fakeClock } from '../fakes/clock.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../fakes/webhook-receiver.ts'

const secret = 'a shared secret that nobody may read'
const noon = Date.UTC(2027, 0, 1, 12)
const delivered = { status: 'delivered' }

const sinkFor = (receiver: { url: string }, options: Partial<WebhookOptions> = {}) =>
  createWebhookSink({ name: 'ops', url: receiver.url, secret, timeout: 5_000, clock: fakeClock(noon), ...options })

eventSinkContract('the webhook sink', async () => {
  const receiver = await startWebhookReceiver(secret)
  const sink = sinkFor(receiver)
  return {
    sink,
    received: async () => receiver.received,
    down: () => receiver.down(),
    up: () => receiver.up(),
    refuse: async (id) => receiver.fault({ status: 400, id }),
    end: async () => {
      sink.close()
      await receiver.close()
    },
  }
})

describe('the webhook sink', () => {
  let receiver: WebhookReceiver
  let sink: ReturnType<typeof createWebhookSink>
  beforeEach(async () => {
    receiver = await startWebhookReceiver(secret)
    sink = sinkFor(receiver)
  })
  afterEach(async () => {
    sink.close()
    await receiver.close()
  })
  const outcome = (): Promise<unknown> => sink.deliver([eventRecord(1)]).catch((error: unknown) => error)

  test('signs what it sends, so that the receiver has nothing to complain about', async () => {
    expect(await sink.deliver([eventRecord(1), eventRecord(2)])).toEqual([delivered, delivered])
    expect(receiver.complaints).toEqual([])
    expect(receiver.received[0]).toEqual({
      version: '0',
      id: 'event-1',
      'detail-type': 'Device Enrolled',
      source: 'everleaf',
      time: '2027-01-01T00:00:01.000Z',
      subject: 'pump-7',
      sequence: 1,
      detail: { DeviceId: 'pump-7', Profile: 'default' },
    })
  })

  test('a receiver with another secret turns it away, and the event is refused, not lost', async () => {
    sink = sinkFor(receiver, { secret: 'another' })
    expect(await outcome()).toEqual([{ status: 'refused', reason: expect.stringContaining('answered 401') }])
    expect(receiver.complaints).toEqual(['the signature does not fit the body'])
  })

  test('the secret may be bytes', async () => {
    sink = sinkFor(receiver, { secret: Buffer.from(secret) })
    expect(await outcome()).toEqual([delivered])
  })

  test.each([200, 201, 202, 204, 299])('%i delivers', async (status) => {
    receiver.fault({ status })
    expect(await outcome()).toEqual([delivered])
  })

  test.each([400, 401, 403, 404, 409, 410, 413, 422])('%i refuses the event', async (status) => {
    receiver.fault({ status })
    expect(await outcome()).toEqual([{ status: 'refused', reason: expect.stringContaining(`answered ${status}`) }])
  })

  test.each([408, 425, 429, 500, 502, 503, 504])('%i makes the sink unavailable', async (status) => {
    receiver.fault({ status })
    expect(await outcome()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`answered ${status}`),
    })
  })

  test.each([301, 302, 303, 307, 308])('%i is not followed', async (status) => {
    const elsewhere = await startWebhookReceiver(secret)
    receiver.fault({ status, headers: { Location: elsewhere.url } })
    expect(await outcome()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('not followed') })
    expect(elsewhere.requests).toBe(0)
    await elsewhere.close()
  })

  const date = (instant: number) => new Date(instant).toUTCString()
  test.each([
    ['seconds', { 'Retry-After': '17' }, 17_000],
    ['a date, against the clock of the receiver', { 'Retry-After': date(90_000), Date: date(30_000) }, 60_000],
    ['a date that is past', { 'Retry-After': date(0) }, 0],
    ['longer than an hour', { 'Retry-After': '99999999' }, 3_600_000],
    ['nonsense', { 'Retry-After': 'soon' }, null],
    ['nothing', {}, null],
  ])('429 with Retry-After of %s', async (_, headers, retryAfter) => {
    receiver.fault({ status: 429, headers })
    expect(await outcome()).toMatchObject({ code: 'unavailable', retryAfter })
  })

  test('a receiver that never answers is given up after the timeout', async () => {
    sink = sinkFor(receiver, { timeout: 100 })
    receiver.fault({ behaviour: 'hang' })
    expect(await outcome()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('within 100 ms') })
  })

  test('a receiver that cuts the connection is unavailable', async () => {
    receiver.fault({ behaviour: 'cut' })
    expect(await outcome()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('cannot be reached'),
    })
  })

  test('an event whose answer was lost is delivered again, under the same id', async () => {
    receiver.fault({ behaviour: 'lose-answer', times: 1 })
    expect(await outcome()).toMatchObject({ code: 'unavailable' })
    expect(await outcome()).toEqual([delivered])
    expect(receiver.received.map(({ id }) => id)).toEqual(['event-1', 'event-1'])
  })

  test('a kept connection that turns out dead is replaced at once', async () => {
    expect(await outcome()).toEqual([delivered])
    receiver.fault({ behaviour: 'cut', times: 1 })
    expect(await outcome()).toEqual([delivered])
    expect(receiver.connections).toBe(2)
  })

  test('a receiver that breaks in mid-batch keeps what it took', async () => {
    receiver.fault({ status: 503, headers: { 'Retry-After': '9' }, id: 'event-3' })
    const deferred = { status: 'deferred', reason: expect.stringContaining('answered 503'), retryAfter: 9_000 }
    const answer = await sink.deliver([1, 2, 3, 4].map((sequence) => eventRecord(sequence)))
    expect(answer).toEqual([delivered, delivered, deferred, deferred])
    expect(receiver.received.map(({ id }) => id)).toEqual(['event-1', 'event-2'])
  })

  test('events of one subject go over one kept connection', async () => {
    await sink.deliver(Array.from({ length: 50 }, (_, at) => eventRecord(at)))
    await sink.deliver(Array.from({ length: 50 }, (_, at) => eventRecord(at)))
    expect(receiver).toMatchObject({ requests: 100, connections: 1 })
  })

  test('many subjects go over as many connections as were allowed', async () => {
    sink = sinkFor(receiver, { concurrency: 4 })
    await sink.deliver(Array.from({ length: 200 }, (_, at) => eventRecord(at, { subject: `device-${at}` })))
    expect(receiver.requests).toBe(200)
    expect(receiver.connections).toBe(4)
  })

  test('neither the secret nor what the address holds shows in errors, reasons or the sink itself', async () => {
    receiver.fault({ status: 400 })
    const refused = await outcome()
    receiver.fault()
    await receiver.down()
    const unreachable = await outcome()
    const told = [refused, unreachable, sink].map(
      (each) => JSON.stringify(each) + String(each) + String((each as Error).stack),
    )
    expect(told.join()).toContain('127.0.0.1')
    expect(told.join()).not.toContain(secret)
    expect(told.join()).not.toContain('in-the-address')
  })

  test('nothing is left running once it is closed', async () => {
    await outcome()
    sink.close()
    await vi.waitFor(() => expect(receiver.open()).toBe(0), { timeout: 5_000 })
  })

  test('an address or secret that cannot work is refused, without telling it', () => {
    expect(() => sinkFor({ url: 'hooks.example/with-a-token' })).toThrow('webhook "ops": its url is not a URL')
    expect(() => sinkFor({ url: 'ftp://user:password@hooks.example' })).toThrow(/^webhook "ops": its url has ftp:/)
    expect(() => sinkFor({ url: 'https://hooks.example/t0ken' }, { secret: '' })).toThrow(
      'webhook "ops" (https://hooks.example): its secret is empty',
    )
  })
})
