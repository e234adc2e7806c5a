import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Ports } from '../../lifecycle/ports.ts'
import type { Queue } from '../../queue/queue.ts'

/** What Prometheus reads. Each value is taken from the store when it is asked for, so that it cannot go stale. */
export const createMetrics = (ports: Pick<Ports, 'store' | 'clock'>, queue: Pick<Queue, 'deadLetters'>): Registry => {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'everleaf_' })
  new Gauge({
    name: 'everleaf_certificates',
    help: 'Certificates in the inventory, by state',
    labelNames: ['state'],
    registers,
    async collect() {
      for (const [state, count] of Object.entries(await ports.store.certificates.count())) this.set({ state }, count)
    },
  })
  new Gauge({
    name: 'everleaf_crl_next_update_seconds',
    help: 'Seconds until the published CRL is out of date; negative: gateways refuse everybody',
    labelNames: ['authority', 'shard'],
    registers,
    async collect() {
      for (const { authority, shard, nextUpdate } of await ports.store.crls.list())
        this.set({ authority, shard }, (nextUpdate - ports.clock.now()) / 1_000)
    },
  })
  new Gauge({
    name: 'everleaf_crl_entries',
    help: 'Entries of the published CRL',
    labelNames: ['authority', 'shard'],
    registers,
    async collect() {
      for (const { authority, shard, entries } of await ports.store.crls.list()) this.set({ authority, shard }, entries)
    },
  })
  new Gauge({
    name: 'everleaf_gateway_current',
    help: '1: the gateway enforces what was published last; 0: it does not',
    labelNames: ['gateway'],
    registers,
    async collect() {
      for (const { name, state } of await ports.store.gateways.list())
        this.set({ gateway: name }, state === 'current' ? 1 : 0)
    },
  })
  new Gauge({
    name: 'everleaf_dead_letters',
    help: 'Jobs that were given up after all their tries',
    registers,
    async collect() {
      this.set((await queue.deadLetters()).length)
    },
  })
  return registry
}
