import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { EventSink } from '../../src/events/events.ts'
import { createLogSink } from '../../src/events/log.ts'
import { createWebhookSink } from '../../src/events/webhook.ts'
import { deliverEvents } from '../../src/lifecycle/deliver-events.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import type { Bench, Report } from './bench.ts'
import { startPeer } from './children.ts'
import { digits, median, rate, timed } from './measure.ts'
import { makePlace, openPorts } from './place.ts'
import { seedEvents } from './seed.ts'

const logEvents = 50_000
const webhookEvents = 5_000
/** As many posts at once as the webhook sink has. */
const concurrency = 16
const target = 5_000

export const relay: Bench = async ({ directory, progress, rounds }) => {
  const place = await makePlace(join(directory, 'relay'))
  seedEvents(place.config.store.file, { count: logEvents, subjects: 10_000, now: Date.now() })
  const few = await makePlace(join(directory, 'relay-webhook'))
  seedEvents(few.config.store.file, { count: webhookEvents, subjects: 1_000, now: Date.now() })
  const receiver = startPeer('./relay-peer.ts')
  const { port } = await receiver.ask<{ port: number }>({})
  const url = `http://127.0.0.1:${port}/events`
  const rates = { log: [] as number[], logLimit: [] as number[], webhook: [] as number[], webhookLimit: [] as number[] }
  const logPorts = await openPorts(place)
  const webhookPorts = await openPorts(few)
  try {
    for (let round = 0; round <= rounds; round += 1) {
      progress(round === 0 ? 'relay: warming up' : `relay: round ${round} of ${rounds}`)
      const log = createLogSink({ write: () => undefined }, `log-${round}`)
      const secret = 'a secret for the bench'
      const { clock } = webhookPorts
      const webhook = createWebhookSink({ name: `webhook-${round}`, url, secret, timeout: 10_000, concurrency, clock })
      const measured = {
        logLimit: readAll(place.config.store.file),
        log: await deliverAll(log, logEvents, logPorts),
        webhookLimit: await postAll(few.config.store.file, url),
        webhook: await deliverAll(webhook, webhookEvents, webhookPorts),
      }
      webhook.close()
      if (round > 0)
        for (const name of Object.keys(rates) as Array<keyof typeof rates>) rates[name].push(measured[name])
    }
  } finally {
    await logPorts.close()
    await webhookPorts.close()
    await receiver.stop()
  }
  return [
    reportOf('log', 'reading raw', median(rates.log), median(rates.logLimit)),
    reportOf('webhook', 'posting raw', median(rates.webhook), median(rates.webhookLimit)),
  ]
}

const reportOf = (sink: string, baseline: string, ours: number, limit: number): Report => ({
  result: {
    bench: 'relay',
    sink,
    perSecond: Math.round(ours),
    limitPerSecond: Math.round(limit),
    ratioToLimit: digits(ours / limit),
  },
  rows: [
    {
      what: `outbox to ${sink}`,
      ours: `${Math.round(ours)}/s`,
      baseline: `${baseline} ${Math.round(limit)}/s`,
      ratio: `${digits((ours * 100) / limit)} %`,
      target: `≥ ${target}/s`,
      met: ours >= target,
    },
  ],
})

/** The real verb, from the first event to a cursor that is durable. */
const deliverAll = async (sink: EventSink, count: number, ports: Ports): Promise<number> => {
  const ms = await timed(() => deliverEvents({ sink: sink.name }, { ...ports, sinks: new Map([[sink.name, sink]]) }))
  return (count * 1_000) / ms
}

const texts = (file: string): string[] => {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return database
      .prepare('SELECT * FROM event ORDER BY sequence')
      .all()
      .map((row) => JSON.stringify({ ...row, detail: JSON.parse(String(row.detail)) }))
  } finally {
    database.close()
  }
}

/** Reading each event and making its line, no cursor. */
const readAll = (file: string): number => {
  const start = performance.now()
  const lines = texts(file)
  return (lines.length * 1_000) / (performance.now() - start)
}

/** Posting bodies from memory over kept connections: no signature, no order, no cursor. */
const postAll = async (file: string, url: string): Promise<number> => {
  const bodies = texts(file)
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  const post = (body: string) =>
    new Promise<void>((resolve, reject) => {
      const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
      const sent = request(url, { method: 'POST', agent, headers }, (response) => {
        response.resume()
        response.on('end', resolve)
      })
      sent.on('error', reject)
      sent.end(body)
    })
  const perSecond = await rate(bodies.length, concurrency, (index) => post(bodies[index] ?? ''))
  agent.destroy()
  return perSecond
}
