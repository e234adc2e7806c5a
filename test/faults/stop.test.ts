import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openSqlite } from '../../src/store/sqlite.ts'
import { openTls } from '../api/support/client.ts'
import { seededRandom } from '../fakes/random.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../fakes/webhook-receiver.ts'
import { until } from '../support/server.ts'
import { runFleet } from './fleet.ts'
import { certificateFaults, deliveryFaults, type Witness } from './invariants.ts'
import { makeSite, type Site } from './site.ts'

const san = { uri: ['spiffe://everleaf.test/device/{device}'] }
const secret = 'of the webhook'

/** The server gives requests and jobs ten seconds; the rest is for a slow machine. */
const deadline = 10_000
const slack = 4_000

const made: Array<() => Promise<void>> = []
afterAll(async () => {
  for (const remove of made) await remove()
})

/** A server with a webhook, and with a gateway whose reload is a shell script. */
const makeBusySite = async (reload = 'true'): Promise<{ site: Site; receiver: WebhookReceiver }> => {
  const receiver = await startWebhookReceiver(secret)
  const edge = { name: 'edge', truststore: 'edge/truststore.pem', crl: 'edge/crl.pem' }
  const site = await makeSite(
    {
      crl: { coalesce: '50ms' },
      profiles: { device: { san, validity: '1h', renewal: { burst: 1_000 } } },
      gateways: [{ ...edge, reload: ['sh', '-c', reload], timeout: '1m' }],
      events: {
        log: false,
        webhooks: [{ name: 'hook', url: receiver.url, secret: { file: 'secret' }, timeout: '1m' }],
      },
      log: { level: 'warn' },
    },
    { secret },
  )
  made.push(async () => {
    await site.remove()
    await receiver.close()
  })
  return { site, receiver }
}

/** How the server ended and how long that took; fails where it goes on beyond `limit`. */
const endWithin = async (site: Site, limit: number) => {
  const started = performance.now()
  await until('the server ends', () => !site.isRunning(), limit)
  return { ...(await site.ended()), took: performance.now() - started }
}

const openPlain = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Requests whose bodies never end, at each listener that takes one, and connections that only wait. */
const openStubborn = async ({ ports, directory }: Site): Promise<void> => {
  const enrolment = await openTls(ports.device)
  enrolment.write('POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nMII')
  const operator = await openPlain(ports.admin)
  const head =
    'POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer'
  const admin = (await readFile(join(directory, 'admin-token'), 'utf8')).trim()
  operator.write(`${head} ${admin}\r\nContent-Length: 500\r\n\r\n{`)
  await openPlain(ports.public)
  await openTls(ports.device)
  await openPlain(ports.device)
}

describe.concurrent('asked to stop, a server', { timeout: 60_000 }, () => {
  test('under load answers what it took, ends with 0, and a restart finds everything', async () => {
    const { site, receiver } = await makeBusySite()
    const witness: Witness = { received: [], revoked: [] }
    const complaints: string[] = []
    const over = new AbortController()
    await site.start()
    let answers = 0
    const fleet = Array.from({ length: 5 }, (_, index) =>
      runFleet(
        `client${index}`,
        {
          site,
          random: seededRandom(index + 1),
          witness,
          profiles: ['device'],
          progress: () => {
            answers += 1
            if (answers === 60) site.signal('SIGTERM')
          },
          complain: (words) => complaints.push(words),
        },
        over.signal,
      ),
    )
    await until('sixty answers', () => answers >= 60)
    expect(await endWithin(site, deadline)).toMatchObject({ code: 0, signal: null })
    expect(site.errors()).not.toContain('"level":50')
    await site.start()
    await until('more answers', () => answers >= 100)
    over.abort()
    await Promise.all(fleet)
    site.signal('SIGTERM')
    expect(await endWithin(site, deadline)).toMatchObject({ code: 0, signal: null })
    const store = await openSqlite({ file: join(site.directory, 'everleaf.db') })
    const delivered = receiver.received.map((envelope) => ({ ...envelope, detailType: envelope['detail-type'] }))
    const [events, cursor] = [await store.events.after(0, 100_000), await store.events.cursor('hook')]
    expect(deliveryFaults(delivered, events, cursor)).toEqual([])
    expect(await certificateFaults({ store }, witness)).toEqual([])
    expect(complaints).toEqual([])
    await store.close()
  })

  test('with requests and a delivery that never end stops by itself at the deadline, with 0', async () => {
    const { site, receiver } = await makeBusySite()
    receiver.fault({ behaviour: 'hang' })
    await site.start()
    await openStubborn(site)
    await until('the delivery hangs', () => receiver.requests > 0)
    site.signal('SIGTERM')
    expect(await endWithin(site, deadline + slack)).toMatchObject({ code: 0, signal: null })
    receiver.fault()
    await site.start()
    await until('what was not delivered is', () => receiver.received.length > 0)
  })

  test('with a gateway that never finishes its reload stops by itself at the deadline, with 0', async () => {
    const { site } = await makeBusySite('sleep 40')
    site.spawn()
    await until('the gateway reloads', () => existsSync(join(site.directory, 'edge/truststore.pem')))
    await until('it serves', () => site.isUp())
    site.signal('SIGTERM')
    expect(await endWithin(site, deadline + slack)).toMatchObject({ code: 0, signal: null })
  })

  test('twice ends at once, with 143, and a restart finds everything', async () => {
    const { site } = await makeBusySite()
    await site.start()
    await openStubborn(site)
    site.signal('SIGTERM')
    await until('it stops', () => site.errors().includes('stopping'))
    const first = performance.now()
    // Closer together they count as one: Ctrl-C under npm comes from the terminal and from npm.
    await until('another second', () => performance.now() - first > 1_000)
    expect(site.isRunning()).toBe(true)
    site.signal('SIGTERM')
    const { code, took } = await endWithin(site, deadline)
    expect(code).toBe(143)
    expect(took).toBeLessThan(2_000)
    await site.start()
    site.signal('SIGTERM')
    expect(await endWithin(site, deadline)).toMatchObject({ code: 0 })
  })

  test('while it starts ends too, and can be started again', async () => {
    const { site } = await makeBusySite()
    site.spawn()
    await until('it has begun', () => existsSync(join(site.directory, 'listener')))
    site.signal('SIGTERM')
    expect(await endWithin(site, deadline)).toMatchObject({ code: 0, signal: null })
    await site.start()
  })
})
