import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { jobTable } from '../../src/jobs/index.ts'
import { createScheduler } from '../../src/jobs/scheduler.ts'
import { checkIn } from '../../src/lifecycle/check-in.ts'
import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import { crlKey } from '../../src/lifecycle/ports.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { openListenerDirectory } from '../../src/listener/directory.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import { createInProcessQueue } from '../../src/queue/in-process.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

const minute = 60_000
const year = 365 * day
const reuse = { ...deviceProfile, name: 'reuse', renewal: { ...deviceProfile.renewal, keys: 'reuse' as const } }

let world: World
let folder: string
let devices: TestDevice[]
let revoked: string[]

/** A fleet of a few ages, half of which is renewed ahead by the server, two of it revoked. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'everleaf-clock-'))
  const listener = await openListenerDirectory(folder)
  world = await makeWorld({ profiles: [deviceProfile, reuse], wrap: (ports) => ({ ...ports, listener }) })
  // The CAs are older than the year that the clock will go back.
  await world.clock.advance(400 * day)
  devices = []
  for (let count = 0; count < 12; count++) {
    const device = await world.enrol(`device-${count}`, { profile: count % 2 === 0 ? 'device' : 'reuse' })
    await world.contact(device)
    devices.push(device)
    await world.clock.advance(day / 2)
  }
  revoked = []
  for (const device of devices.splice(0, 2)) await revoke(device)
  await world.pass(3_000, 1_000)
})
afterEach(async () => {
  await world.stop()
  await rm(folder, { recursive: true })
})

const revoke = async (device: TestDevice): Promise<void> => {
  await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, world.ports)
  revoked.push(device.certificate.serial)
}

const liveCrl = async () => {
  const artefact = await world.ports.publication.get(crlKey('issuing-g1', 0))
  if (artefact === null) throw new Error('no CRL is published')
  const crl = parseCrl(artefact.bytes)
  return { ...crl, serials: [...crl.entries()].map(({ serial }) => serial).sort() }
}

/** How many events of each type the outside was told after `sequence`. */
const toldAfter = (sequence: number): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { detailType } of world.sink.received.filter((event) => event.sequence > sequence))
    counts[detailType] = (counts[detailType] ?? 0) + 1
  return counts
}
const lastSequence = async () => (await world.ports.store.events.tail(1))[0]?.sequence ?? 0

const states = () => world.ports.store.certificates.count()

const isToldToRenew = async (device: TestDevice): Promise<boolean> => {
  const client = await identifyDevice({ certificate: device.certificate.der, purpose: 'read' }, world.ports)
  const request = { agent: '1', time: 'unknown', trustAnchors: null, crl: null, error: null }
  return (await checkIn({ client, request }, world.ports)).renew.now
}

/** The scheduler as it runs in a server, second by second. */
const runningScheduler = () => {
  const { ports, clock } = world
  const queue = createInProcessQueue({ clock, random: ports.random })
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const jobs = jobTable(ports, { sweep: '* * * * * *', coalesce: 0 })
  const scheduler = createScheduler({ clock, queue, jobs, log })
  scheduler.start()
  return {
    async pass(duration: number) {
      for (let passed = 0; passed < duration; passed += 10_000) {
        await clock.advance(10_000)
        await queue.idle()
      }
    },
    async stop() {
      await scheduler.stop()
      await queue.close(0)
    },
  }
}

describe('while the server runs', () => {
  test('a clock that leaps a year ahead for five minutes leaves no trace but the log', async () => {
    const server = runningScheduler()
    await server.pass(minute)
    const [before, sequence, counts] = [await liveCrl(), await lastSequence(), await states()]
    world.clock.set(world.clock.now() + year)
    await server.pass(5 * minute)
    expect(toldAfter(sequence)).toEqual({})
    world.clock.set(world.clock.now() - year)
    await server.pass(2 * minute)
    expect([toldAfter(sequence), await states()]).toEqual([{}, counts])
    expect((await liveCrl()).der).toEqual(before.der)
    await server.stop()
  })

  test('one that stays there is believed after ten minutes, and the end of each certificate is told once', async () => {
    const server = runningScheduler()
    await server.pass(minute)
    const sequence = await lastSequence()
    world.clock.set(world.clock.now() + year)
    await server.pass(12 * minute)
    const { 'Certificate Expired': expired, ...others } = toldAfter(sequence)
    expect(expired).toBe(devices.length + 1) // and the listener's own
    expect(others).toMatchObject({ 'CRL Stale': 2, 'Certificate Renewed': 1 }) // that of the listener
    expect(others).not.toHaveProperty('Certificate Approaching Expiration')
    expect(others).not.toHaveProperty('Certificate Renewal Overdue')
    await server.stop()
  })
})

describe('a clock that was believed a year ahead and comes back', () => {
  let numberAhead: bigint
  let issuedAhead: number
  beforeEach(async () => {
    const real = world.clock.now()
    const total = (await world.ports.store.certificates.list({ limit: 1_000, source: 'issued' })).length
    world.clock.set(real + year)
    await world.pass(5_000, 1_000)
    const [stolen] = devices.splice(0, 1)
    if (stolen) await revoke(stolen)
    await world.pass(3 * minute, minute)
    numberAhead = (await liveCrl()).number
    issuedAhead = (await world.ports.store.certificates.list({ limit: 1_000, source: 'issued' })).length - total
    world.clock.set(real + 10 * minute)
    await world.pass(5_000, 1_000)
  })

  test('loses no revocation, publishes a CRL that is good now, and its number does not shrink', async () => {
    const crl = await liveCrl()
    expect(crl.serials).toEqual(revoked.toSorted())
    expect(crl.number).toBeGreaterThan(numberAhead)
    expect(crl.thisUpdate).toBeLessThanOrEqual(world.clock.now())
    expect(crl.nextUpdate).toBeGreaterThan(world.clock.now())
    await world.pass(2 * day, day)
    const next = await liveCrl()
    expect(next.number).toBeGreaterThan(crl.number)
    expect(next.serials).toEqual(revoked.toSorted())
  })

  test('has renewed nothing by itself, tells nobody to renew now, and lets every device renew into a certificate that is good now', async () => {
    expect(issuedAhead).toBe(0)
    expect(await Promise.all(devices.map(isToldToRenew))).toEqual(devices.map(() => false))
    for (const device of devices) {
      const successor = await world.renew(device, device.key)
      expect(successor.certificate.notBefore).toBeLessThanOrEqual(world.clock.now())
      await world.contact(successor)
    }
  })

  test('tells nothing more than its CRLs and the listener, and nothing a second time', async () => {
    const sequence = await lastSequence()
    await world.pass(10 * minute, minute)
    expect(toldAfter(sequence)).toEqual({})
  })

  test('answers devices with a certificate that is valid now', async () => {
    await world.pass(minute, minute)
    const current = await world.ports.listener?.current()
    expect(current?.notBefore).toBeLessThanOrEqual(world.clock.now())
    expect(current?.notAfter).toBeGreaterThan(world.clock.now())
  })
})

test('a successor made ahead of time, not valid after the clock came back, is not what a device gets', async () => {
  const real = world.clock.now()
  const [device] = devices.filter(({ certificate }) => certificate.profile === 'reuse')
  if (device === undefined) throw new Error('no such device')
  world.clock.set((device.certificate.slot ?? 0) + 1_000)
  await world.sweep()
  expect(await world.ports.store.certificates.successorsOf(device.certificate)).toHaveLength(1)
  world.clock.set(real)
  const first = await world.renew(device, device.key)
  expect(first.certificate.notBefore).toBeLessThanOrEqual(real)
  expect((await world.renew(device, device.key)).certificate.serial).toBe(first.certificate.serial)
  await world.contact(first)
})

test('an event that was refused while the clock was ahead does not wait for that time to come', async () => {
  const real = world.clock.now()
  world.clock.set(real + year)
  const [stolen] = devices.splice(0, 1)
  if (stolen) await revoke(stolen)
  const last = (await world.ports.store.events.tail(1))[0]
  if (last === undefined) throw new Error('nothing was told')
  world.sink.refuse(last.id)
  await world.pass(2_000, 1_000)
  world.clock.set(real)
  world.sink.accept(last.id)
  await world.pass(2 * minute, minute)
  expect(world.sink.received.map(({ id }) => id)).toContain(last.id)
})

describe('a clock that goes a year back and comes forth again', () => {
  test('takes nothing from the CRL, shrinks no number, and promises readers with a right clock no less than before', async () => {
    const [real, before] = [world.clock.now(), await liveCrl()]
    world.clock.set(real - year)
    await world.pass(2 * minute, minute)
    const behind = await liveCrl()
    expect(behind.serials).toEqual(before.serials)
    expect(behind.number).toBeGreaterThanOrEqual(before.number)
    expect(behind.nextUpdate).toBeGreaterThanOrEqual(before.nextUpdate)
    const [stolen] = devices.splice(0, 1)
    if (stolen) await revoke(stolen)
    await world.pass(2_000, 1_000)
    expect((await liveCrl()).serials).toEqual(revoked.toSorted())
    world.clock.set(real + 5 * minute)
    await world.pass(2 * minute, minute)
    const after = await liveCrl()
    expect(after.serials).toEqual(revoked.toSorted())
    expect(after.number).toBeGreaterThan(behind.number)
    expect(after.nextUpdate).toBeGreaterThan(world.clock.now())
  })

  test('renews no device, expires nothing, and answers devices with a certificate that is good by either clock', async () => {
    const [real, counts, sequence] = [world.clock.now(), await states(), await lastSequence()]
    world.clock.set(real - year)
    await world.pass(2 * minute, minute)
    const current = await world.ports.listener?.current()
    expect(current?.notBefore).toBeLessThanOrEqual(world.clock.now())
    expect(current?.notAfter).toBeGreaterThan(real)
    world.clock.set(real)
    await world.pass(2 * minute, minute)
    const told = world.sink.received.filter((event) => event.sequence > sequence)
    expect(told.filter(({ subject }) => subject.startsWith('device-'))).toEqual([])
    const { superseded, ...others } = await states()
    expect({ ...others, superseded: 0 }).toEqual({ ...counts, superseded: 0 })
    expect(superseded).toBeLessThanOrEqual(2) // of the listener
    expect(await Promise.all(devices.map(isToldToRenew))).toEqual(devices.map(() => false))
  })
})
