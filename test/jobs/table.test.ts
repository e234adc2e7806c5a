import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { jobTable } from '../../src/jobs/index.ts'
import type { JobDefinition } from '../../src/jobs/scheduler.ts'
import { publishTruststore } from '../../src/lifecycle/publish-truststore.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { type FakeGateway, fakeGateway } from '../fakes/gateway.ts'
import { day, makeWorld, type World } from '../support/world.ts'

let world: World
let gateway: FakeGateway
let jobs: JobDefinition[]
beforeEach(async () => {
  gateway = fakeGateway()
  world = await makeWorld({ gateways: new Map([['edge', gateway]]) })
  jobs = jobTable(world.ports, { sweep: '* * * * * *', coalesce: 2_000 })
})
afterEach(() => world.stop())

const job = (name: string): JobDefinition => {
  const found = jobs.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no job ${name}`)
  return found
}
/** The ids of what is due now. */
const due = async (name: string): Promise<string[]> => {
  const ids = []
  for await (const { id } of await job(name).due(world.clock.now())) ids.push(id)
  return ids
}
/** Does what is due, and returns its ids. */
const work = async (name: string): Promise<string[]> => {
  const all = []
  for await (const each of await job(name).due(world.clock.now())) all.push(each)
  for (const { payload } of all) await job(name).run(payload)
  return all.map(({ id }) => id)
}

test('every job has a name of its own, and what it nudges exists', () => {
  const names = jobs.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  for (const { nudges = [] } of jobs) for (const next of nudges) expect(names).toContain(next)
})

describe('a certificate is due', () => {
  test('for each job at its instant only, under an id that is the same at every look', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const { authority, serial, slot, notAfter } = device.certificate
    const id = `${authority}/${serial}`
    for (const name of ['open-renewal', 'warn-expiring', 'mark-expired']) expect(await due(name)).toEqual([])
    await world.clock.advance((device.certificate.nextAlertAt ?? 0) - world.clock.now())
    expect([await due('warn-expiring'), await due('warn-expiring')]).toEqual([[id], [id]])
    await work('warn-expiring')
    expect(await due('warn-expiring')).toEqual([])
    await world.clock.advance((slot ?? 0) - world.clock.now())
    expect(await work('open-renewal')).toEqual([id])
    expect(await due('open-renewal')).toEqual([])
    await world.clock.advance(notAfter - world.clock.now() + 1)
    expect(await work('mark-expired')).toEqual([id])
    expect(await due('mark-expired')).toEqual([])
  })
})

describe('a CRL is due', () => {
  const built = async () => {
    await work('publish-crl')
    expect(await due('publish-crl')).toEqual([])
  }

  test('for every authority at the start, then every minute to be looked at', async () => {
    expect(await work('publish-crl')).toEqual(['issuing-g1/0', 'root-g1/0'])
    await world.clock.advance(59_999)
    expect(await due('publish-crl')).toEqual([])
    await world.clock.advance(1)
    expect(await due('publish-crl')).toEqual(['issuing-g1/0', 'root-g1/0'])
  })

  test('for revocations once the first of them has waited, so that those close together are in one', async () => {
    await built()
    const waits: string[][] = []
    for (let index = 0; index < 4; index++) {
      const { certificate } = await world.enrol(`device-${index}`)
      await revokeCertificate({ key: certificate, reason: 'unspecified' }, world.ports)
      waits.push(await due('publish-crl'))
      await world.clock.advance(700)
    }
    expect(waits).toEqual([[], [], [], ['issuing-g1/0']])
    await work('publish-crl')
    expect(await world.ports.store.revocations.countUnpublished('issuing-g1', 0)).toBe(0)
    expect(await due('publish-crl')).toEqual([])
  })

  test('when it has aged', async () => {
    await built()
    const { refresh } = world.ports.settings.crl
    await world.clock.advance(refresh)
    expect(await due('publish-crl')).toEqual(['issuing-g1/0', 'root-g1/0'])
    expect(await due('publish-crl')).toEqual(['issuing-g1/0', 'root-g1/0'])
  })
})

describe('a gateway is due', () => {
  const settle = async () => {
    await publishTruststore({}, world.ports)
    await work('publish-crl')
    await work('sync-gateway')
  }

  test('when something was published, and each minute for drift', async () => {
    await settle()
    expect(await due('sync-gateway')).toEqual([])
    await world.clock.advance(59_999)
    expect(await due('sync-gateway')).toEqual([])
    gateway.tamper({ crlSha256: null })
    await world.clock.advance(1)
    expect(await work('sync-gateway')).toEqual(['edge'])
    expect(gateway.reloads).toBe(2)
    await publishTruststore({ force: true }, world.ports)
    expect(await due('sync-gateway')).toEqual(['edge'])
  })

  test('until the work is done: what failed stays due', async () => {
    await settle()
    await publishTruststore({ force: true }, world.ports)
    gateway.down()
    await expect(work('sync-gateway')).rejects.toThrow()
    expect(await due('sync-gateway')).toEqual(['edge'])
    gateway.up()
    await work('sync-gateway')
    expect(await due('sync-gateway')).toEqual([])
  })

  test('again after the clock went back', async () => {
    await settle()
    world.clock.set(world.clock.now() - day)
    expect(await due('sync-gateway')).toEqual(['edge'])
  })
})

describe('a sink is due', () => {
  test('when something lies behind its cursor, or a parked event may be tried again', async () => {
    expect(await due('deliver-events')).toEqual([])
    await world.enrol('device-1')
    const [first] = await world.ports.store.events.tail(10)
    world.sink.refuse(first?.id ?? '')
    expect(await work('deliver-events')).toEqual(['fake'])
    expect(await due('deliver-events')).toEqual([])
    await world.clock.advance(1_000)
    expect(await due('deliver-events')).toEqual(['fake'])
  })
})

test('the truststore and what is old are looked at as one unit each, the listener only where it is ours, what is old only after a quarter of an hour', async () => {
  expect([await due('publish-truststore'), await due('prune'), await due('renew-listener')]).toEqual([
    ['truststore'],
    [],
    [],
  ])
  await world.clock.advance(15 * 60_000)
  expect(await due('prune')).toEqual(['prune'])
})
