import { deliverEvents } from '../lifecycle/deliver-events.ts'
import { markExpired } from '../lifecycle/mark-expired.ts'
import { openRenewal } from '../lifecycle/open-renewal.ts'
import { fullShard, type Ports } from '../lifecycle/ports.ts'
import { prune } from '../lifecycle/prune.ts'
import { publishCrl } from '../lifecycle/publish-crl.ts'
import { publishTruststore } from '../lifecycle/publish-truststore.ts'
import { renewListener } from '../lifecycle/renew-listener.ts'
import { syncGateway } from '../lifecycle/sync-gateway.ts'
import { warnExpiring } from '../lifecycle/warn-expiring.ts'
import type { Certificate, CertificateKey, Duration, Instant } from '../model.ts'
import type { JobOptions } from '../queue/queue.ts'
import type { JobDefinition } from './scheduler.ts'
import { settled } from './settled.ts'

export interface Cadences {
  /** How often due certificates, revocations and events are looked for. */
  sweep: string
  /** After a revocation, how long to wait for more before the CRL is built. */
  coalesce: Duration
}

/** What one sweep takes at most; the next one brings the rest. */
const sweepLimit = 1_000
const everyMinute = '0 * * * * *'
const everyHour = '0 17 * * * *'
const quarterHour: Duration = 15 * 60_000

/** Work on the store and our own keys fails seldom and is tried again soon; what reaches outside backs off further. */
const local: JobOptions = { concurrency: 4, attempts: 5, backoff: 500, maxBackoff: 30_000 }
const outside: JobOptions = { concurrency: 2, attempts: 12, backoff: 1_000, maxBackoff: 300_000 }

/** When the verbs run: name → what is due, one unit a job, and the verb. */
export const jobTable = (
  ports: Ports,
  { sweep, coalesce }: Cadences,
  startedAt: Instant = ports.clock.now(),
): JobDefinition[] => [
  certificateJob(
    'open-renewal',
    sweep,
    (now) => ports.store.certificates.dueForRenewal(now, sweepLimit),
    (key) => openRenewal(key, ports),
  ),
  certificateJob(
    'warn-expiring',
    sweep,
    (now) => ports.store.certificates.dueForAlert(now, sweepLimit),
    (key) => warnExpiring(key, ports),
  ),
  certificateJob(
    'mark-expired',
    sweep,
    (now) => ports.store.certificates.dueToExpire(now, sweepLimit),
    (key) => markExpired(key, ports),
  ),
  {
    name: 'publish-crl',
    cadence: sweep,
    patient: true,
    options: outside,
    nudges: ['sync-gateway', 'deliver-events'],
    due: crlsDue(ports, coalesce),
    run: ({ authority, shard }) => publishCrl({ authority: String(authority), shard: Number(shard) }, ports),
  },
  {
    name: 'publish-truststore',
    cadence: everyMinute,
    options: outside,
    nudges: ['sync-gateway', 'deliver-events'],
    due: async () => [{ id: 'truststore', payload: {} }],
    run: () => publishTruststore({}, ports),
  },
  {
    name: 'sync-gateway',
    cadence: sweep,
    options: outside,
    ...gatewayJob(ports),
  },
  {
    name: 'deliver-events',
    cadence: sweep,
    options: { ...outside, concurrency: Math.max(1, ports.sinks.size) },
    due: async (now) => sinksDue(ports, now),
    run: ({ sink }) => deliverEvents({ sink: String(sink) }, ports),
  },
  {
    name: 'renew-listener',
    cadence: everyMinute,
    patient: true,
    options: local,
    due: async () => (ports.listener === null ? [] : [{ id: 'listener', payload: {} }]),
    run: () => renewListener({}, ports),
  },
  {
    name: 'prune',
    cadence: everyHour,
    patient: true,
    options: local,
    // What is removed is gone: a server that starts under a wrong clock gets time to be told the right one.
    due: async (now) => (now - startedAt < quarterHour ? [] : [{ id: 'prune', payload: {} }]),
    run: () => prune(ports),
  },
]

const certificateJob = (
  name: string,
  cadence: string,
  due: (now: Instant) => Promise<Certificate[]>,
  verb: (key: CertificateKey) => Promise<unknown>,
): JobDefinition => ({
  name,
  cadence,
  patient: true,
  options: local,
  due: async (now) =>
    (await due(now)).map(({ authority, serial }) => ({ id: `${authority}/${serial}`, payload: { authority, serial } })),
  run: ({ authority, serial }) => verb({ authority: String(authority), serial: String(serial) }),
})

/**
 * Shards with revocations that have settled, or whose CRL has aged, and each of them at the start and every minute: what is
 * live may know more than a restored store, or may have been removed or exchanged.
 */
const crlsDue = ({ store, authorities, settings }: Ports, coalesce: Duration): JobDefinition['due'] => {
  const isSettled = settled(coalesce)
  const looked = new Map<string, Instant>()
  return async (now) => {
    const due = []
    for (const { id, crlSigner } of authorities.all) {
      if (crlSigner === null) continue
      const record = await store.crls.get(id, fullShard)
      const unpublished = await store.revocations.countUnpublished(id, fullShard)
      const aged = record === null || now >= record.thisUpdate + settings.crl.refresh
      const isDue = isSettled(id, unpublished > 0, now) || aged || isLongAgo(looked.get(id), now)
      if (!isDue) continue
      looked.set(id, now)
      due.push({ id: `${id}/${fullShard}`, payload: { authority: id, shard: fullShard } })
    }
    return due
  }
}

/**
 * Gateways that were not brought to the current artefacts yet, and each of them every minute, for drift. One counts as
 * looked at when the work is done: what is published while a gateway reloads is due right after.
 */
const gatewayJob = (ports: Ports): Pick<JobDefinition, 'due' | 'run'> => {
  const { store, gateways } = ports
  const looked = new Map<string, { generation: string; at: Instant }>()
  const currentGeneration = async (): Promise<string> => {
    const [truststore] = await store.truststores.list(1)
    const crls = await store.crls.list()
    return `${truststore?.version}:${crls.map(({ authority, number }) => `${authority}=${number}`).join()}`
  }
  return {
    async due(now) {
      if (gateways.size === 0) return []
      const generation = await currentGeneration()
      const due = [...gateways.keys()].filter((name) => {
        const last = looked.get(name)
        return last?.generation !== generation || isLongAgo(last.at, now)
      })
      return due.map((gateway) => ({ id: gateway, payload: { gateway } }))
    },
    async run({ gateway }) {
      const [generation, at] = [await currentGeneration(), ports.clock.now()]
      const decision = await syncGateway({ gateway: String(gateway) }, ports)
      looked.set(String(gateway), { generation, at })
      return decision
    },
  }
}

const lookAgain: Duration = 60_000
/** Never, a while ago, or at a time that is still to come since the clock went back. */
const isLongAgo = (last: Instant | undefined, now: Instant): boolean =>
  last === undefined || now - last >= lookAgain || now < last

const sinksDue = async ({ store, sinks }: Pick<Ports, 'store' | 'sinks'>, now: Instant) => {
  const due = []
  for (const name of sinks.keys()) {
    const [next] = await store.events.after(await store.events.cursor(name), 1)
    const [parked] = next ? [] : await store.events.parkedDue(name, now, 1)
    if (next || parked) due.push({ id: name, payload: { sink: name } })
  }
  return due
}
