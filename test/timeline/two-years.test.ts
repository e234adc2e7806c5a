import { afterEach, expect, test } from 'vitest'
import { crlKey } from '../../src/lifecycle/ports.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
afterEach(() => world.stop())

const liveCrl = async ({ ports }: World) => {
  const artefact = await ports.publication.get(crlKey(ports.authorities.issuing.id, 0))
  return artefact ? parseCrl(artefact.bytes) : null
}

test('a device enrols, renews for two years, is revoked, and is in the next CRL and every one until one past its expiry', async () => {
  world = await makeWorld({ settings: { retention: { certificates: 3_650 * day, events: 3_650 * day } } })
  const { ports, clock, sink } = world
  let device = await world.enrol('device-1')
  await world.contact(device)
  const serials = [device.certificate.serial]
  const end = clock.now() + 2 * 365 * day
  while (clock.now() < end) {
    await world.pass(day, day)
    const row = await ports.store.certificates.get(device.certificate)
    if (row?.renewalOpenedAt === null) continue
    device = await world.renew(device)
    await world.contact(device)
    serials.push(device.certificate.serial)
  }
  expect(serials.length).toBeGreaterThanOrEqual(12)
  expect(serials.length).toBeLessThanOrEqual(14)
  const states = await Promise.all(
    serials.slice(0, -1).map((serial) => ports.store.certificates.get({ ...device.certificate, serial })),
  )
  for (const row of states) expect(['expired', 'superseded']).toContain(row?.state)

  await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, ports)
  await world.sweep()
  const crl = await liveCrl(world)
  expect([...(crl?.entries() ?? [])]).toMatchObject([{ serial: device.certificate.serial, reason: 'keyCompromise' }])

  let last = crl
  while (clock.now() <= device.certificate.notAfter + 3 * day) {
    await world.pass(day, day)
    const next = await liveCrl(world)
    if (next === null || last === null) throw new Error('the CRL is gone')
    if (next.number === last.number) continue
    expect(next.number).toBeGreaterThan(last.number)
    const holds = [...next.entries()].some(({ serial }) => serial === device.certificate.serial)
    if (!holds) expect(last.thisUpdate).toBeGreaterThan(device.certificate.notAfter)
    last = next
  }
  expect([...(last?.entries() ?? [])]).toEqual([])

  const told = sink.received.filter(({ subject }) => subject === 'device-1').map(({ detailType }) => detailType)
  expect(told.slice(0, 4)).toEqual([
    'Device Enrolled',
    'Certificate Issued',
    'Certificate Delivered',
    'Certificate Confirmed',
  ])
  expect(told.filter((type) => type === 'Certificate Renewed')).toHaveLength(serials.length - 1)
  expect(told).not.toContain('Certificate Renewal Overdue')
}, 60_000)

test('a device that stays away is told of once per threshold, as overdue once, and as expired once', async () => {
  world = await makeWorld()
  const { sink } = world
  await world.contact(await world.enrol('device-1'))
  await world.pass(100 * day, day / 4)
  const told = sink.received.filter(({ subject }) => subject === 'device-1')
  const thresholds = told
    .filter(({ detailType }) => detailType === 'Certificate Approaching Expiration')
    .map(({ detail }) => detail.ThresholdDays)
  expect(thresholds).toEqual([45, 30, 14, 7, 3, 1])
  expect(told.filter(({ detailType }) => detailType === 'Certificate Renewal Overdue')).toHaveLength(1)
  expect(told.filter(({ detailType }) => detailType === 'Certificate Expired')).toHaveLength(1)
}, 60_000)

test('with reuse the successor waits for the device and is the one that it gets, however late it asks', async () => {
  const reuse = { ...deviceProfile, renewal: { ...deviceProfile.renewal, keys: 'reuse' as const, grace: 60 * day } }
  world = await makeWorld({ profiles: [reuse] })
  const { ports, clock } = world
  const device = await world.enrol('device-1')
  await world.contact(device)
  await world.pass(75 * day, day)
  const [waiting, ...others] = await ports.store.certificates.successorsOf(device.certificate)
  expect(others).toEqual([])
  expect(waiting).toMatchObject({ state: 'issued', spkiSha256: device.certificate.spkiSha256 })
  const successor = await world.renew(device, device.key)
  expect(successor.certificate.serial).toBe(waiting?.serial)
  await world.contact(successor)
  expect((await ports.store.certificates.get(device.certificate))?.state).toBe('superseded')
  expect(clock.now()).toBeLessThan(device.certificate.notAfter)
}, 60_000)

test('after an outage the slots that passed unseen are spread over the time left, none of them past expiry', async () => {
  world = await makeWorld()
  const { ports, clock } = world
  const devices: TestDevice[] = []
  for (let index = 0; index < 40; index++) devices.push(await world.enrol(`device-${index}`))
  for (const device of devices) await world.contact(device)
  await world.sweep()
  await clock.advance(70 * day)
  await world.sweep()
  const rows = await Promise.all(devices.map(({ certificate }) => ports.store.certificates.get(certificate)))
  const slots = rows.map((row) => row?.slot ?? 0)
  expect(rows.filter((row) => row?.renewalOpenedAt !== null)).toEqual([])
  expect(Math.min(...slots)).toBeGreaterThan(clock.now())
  expect(Math.max(...slots)).toBeLessThan(clock.now() + 10 * day + 1)
  const buckets = new Set(slots.map((slot) => Math.floor((slot - clock.now()) / day)))
  expect(buckets.size).toBeGreaterThanOrEqual(8)
}, 60_000)
