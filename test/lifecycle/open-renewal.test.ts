import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import { openRenewal } from '../../src/lifecycle/open-renewal.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { renewListener } from '../../src/lifecycle/renew-listener.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { openListenerDirectory } from '../../src/listener/directory.ts'
import type { ListenerIdentity } from '../../src/listener/listener.ts'
import type { CertificateKey } from '../../src/model.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
let listener: ListenerIdentity
const reuse = { ...deviceProfile, name: 'reuse', renewal: { ...deviceProfile.renewal, keys: 'reuse' as const } }
beforeEach(async () => {
  world = await makeWorld({ profiles: [deviceProfile, reuse] })
  listener = await openListenerDirectory(join(world.directory, 'listener'))
  Object.assign(world.ports, { listener })
})
afterEach(() => world.stop())

const row = async (key: CertificateKey) => world.ports.store.certificates.get(key)
const told = async (subject: string) =>
  (await world.ports.store.events.tail(1_000)).filter((event) => event.subject === subject)
const failures = async () =>
  (await told('device-1')).filter(({ detailType }) => detailType === 'Certificate Renewal Failed')
const toSlot = async ({ certificate }: TestDevice) => world.clock.advance((certificate.slot ?? 0) - world.clock.now())
const enrolled = async (profile = 'device') => {
  const device = await world.enrol('device-1', { profile })
  await world.contact(device)
  return device
}
/** Ports whose issuer fails with `error` (or does something first, and then works). */
const withIssuer = (before: () => Promise<void>): Ports => {
  const { authorities } = world.ports
  const issuing = {
    ...authorities.issuing,
    issuer: {
      async issue(order: Parameters<typeof authorities.issuing.issuer.issue>[0]) {
        await before()
        return authorities.issuing.issuer.issue(order)
      },
    },
  }
  return { ...world.ports, authorities: { ...authorities, issuing } }
}
const failing = (error: Error) =>
  withIssuer(async () => {
    throw error
  })

describe('at the slot of a certificate', () => {
  test('not before it', async () => {
    const device = await enrolled()
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'leave', reason: 'not-due' })
  })

  test('with rekey the renewal is opened once, and the device brings its key', async () => {
    const device = await enrolled()
    await toSlot(device)
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'open', reason: 'rekey' })
    expect((await row(device.certificate))?.renewalOpenedAt).toBe(world.clock.now())
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'leave' })
    expect(await world.ports.store.certificates.successorsOf(device.certificate)).toEqual([])
  })

  test('with reuse the successor is issued from the key on record, once', async () => {
    const device = await enrolled('reuse')
    await toSlot(device)
    await openRenewal(device.certificate, world.ports)
    await openRenewal(device.certificate, world.ports)
    const successors = await world.ports.store.certificates.successorsOf(device.certificate)
    expect(successors).toMatchObject([{ state: 'issued', spkiSha256: device.certificate.spkiSha256 }])
  })

  test('with reuse and an issuer that fails: told once, retried, and done when it works again', async () => {
    const device = await enrolled('reuse')
    await toSlot(device)
    const broken = failing(new EverleafError('unavailable', 'the authority does not answer'))
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(openRenewal(device.certificate, broken)).rejects.toThrow(/does not answer/)
    expect(await failures()).toMatchObject([{ detail: { Reason: 'the authority does not answer' } }])
    expect((await row(device.certificate))?.renewalOpenedAt).toBeNull()
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'open' })
    expect(await world.ports.store.certificates.successorsOf(device.certificate)).toHaveLength(1)
  })

  test('with reuse and a successor that was revoked: told once, and the device may bring another key', async () => {
    const device = await enrolled('reuse')
    const successor = await world.renew(device, device.key)
    await revokeCertificate({ key: successor.certificate, reason: 'unspecified' }, world.ports)
    await toSlot(device)
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'open' })
    expect(await failures()).toHaveLength(1)
    expect((await row(device.certificate))?.renewalOpenedAt).not.toBeNull()
    expect((await world.renew(device)).certificate.spkiSha256).not.toBe(device.certificate.spkiSha256)
  })

  test('with reuse and too many certificates: told once however often it is tried', async () => {
    const device = await enrolled('reuse')
    await toSlot(device)
    for (let count = 0; count < reuse.renewal.burst; count++) await world.renew(device)
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(openRenewal(device.certificate, world.ports)).rejects.toMatchObject({ code: 'too-many' })
    expect(await failures()).toHaveLength(1)
  })

  test('under a profile that vanished it is opened and told as failed, once', async () => {
    const device = await enrolled()
    await toSlot(device)
    Object.assign(world.ports, { profiles: new Map() })
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'open', reason: 'unknown-profile' })
    await openRenewal(device.certificate, world.ports)
    expect(await failures()).toMatchObject([{ detail: { Reason: 'profile device is not configured' } }])
  })

  test.each(['rekey', 'reuse'] as const)(
    'nothing is opened or issued (%s) for one revoked since it was due',
    async (keys) => {
      const device = await enrolled(keys === 'reuse' ? 'reuse' : 'device')
      await toSlot(device)
      await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, world.ports)
      expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'leave', reason: 'not-due' })
      expect(await world.ports.store.certificates.successorsOf(device.certificate)).toEqual([])
    },
  )

  test('nothing is told as a fork for one superseded since it was due', async () => {
    const device = await enrolled('reuse')
    await toSlot(device)
    await world.contact(await world.renew(device))
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'leave', reason: 'not-due' })
    expect((await told('device-1')).map(({ detailType }) => detailType)).not.toContain('Lineage Forked')
  })
})

describe('a revocation while a successor is being signed', () => {
  test('leaves no certificate that the CRL does not hold, whether the device asked or the slot did', async () => {
    const device = await enrolled('reuse')
    await toSlot(device)
    const revoked = withIssuer(async () => {
      await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, world.ports)
    })
    await openRenewal(device.certificate, revoked).catch(() => undefined)
    expect(await world.ports.store.certificates.successorsOf(device.certificate)).toEqual([])
    expect((await row(device.certificate))?.state).toBe('revoked')
  })
})

describe("the listener's own certificate", () => {
  const renew = (ports: Ports = world.ports, force = false) => renewListener({ force }, ports)
  const rows = () => world.ports.store.certificates.list({ source: 'listener', limit: 10 })
  const inUse = async () => (await listener.current())?.serial

  test('is not made where it is given by files', async () => {
    expect(await renew({ ...world.ports, listener: null })).toMatchObject({
      act: 'leave',
      reason: 'given-by-file',
    })
  })

  test('is made when there is none, with the names that devices use, and told of as issued', async () => {
    expect(await renew()).toMatchObject({ act: 'issue', reason: 'none' })
    const current = await listener.current()
    expect(current?.subjectAlternativeName?.names.dns).toEqual(['localhost'])
    expect(current?.extendedKeyUsage).toEqual(['serverAuth'])
    expect(await rows()).toMatchObject([{ state: 'confirmed', serial: current?.serial }])
    expect(await renew()).toMatchObject({ act: 'leave', reason: 'current' })
    expect((await told('listener')).map(({ detailType }) => detailType)).toEqual(['Certificate Issued'])
  })

  test('is replaced at its slot by itself, and the old one is superseded', async () => {
    await renew()
    const before = await inUse()
    await world.pass(29 * day, day / 2)
    expect(await inUse()).not.toBe(before)
    const all = await rows()
    expect(all.find(({ serial }) => serial === before)?.state).toBe('superseded')
    expect(all).toHaveLength(2)
    expect((await told('listener')).map(({ detailType }) => detailType)).toContain('Certificate Renewed')
  })

  test('is replaced when its names changed, when it was revoked, and when asked for', async () => {
    await renew()
    Object.assign(world.ports.settings.listener, { names: ['localhost', '127.0.0.1', 'pki.example'] })
    expect(await renew()).toMatchObject({ reason: 'names-changed' })
    expect((await listener.current())?.subjectAlternativeName?.names.ip).toEqual(['127.0.0.1'])
    const serial = (await inUse()) ?? ''
    await revokeCertificate({ key: { authority: 'issuing-g1', serial }, reason: 'superseded' }, world.ports)
    expect(await renew()).toMatchObject({ reason: 'revoked' })
    expect(await renew(world.ports, true)).toMatchObject({ reason: 'forced' })
  })

  test.each([
    ['the first', false],
    ['a later', true],
  ])('%s one that was recorded and not installed is installed, not issued again', async (_name, isLater) => {
    if (isLater) await renew()
    const cut: ListenerIdentity = { ...listener, install: () => Promise.reject(new Error('the process died')) }
    await expect(renew({ ...world.ports, listener: cut }, true)).rejects.toThrow('died')
    const recorded = (await rows()).length
    await renew(world.ports, true)
    expect(await rows()).toHaveLength(recorded)
    expect((await rows()).map(({ state }) => state).sort()).toEqual(
      isLater ? ['confirmed', 'superseded'] : ['confirmed'],
    )
  })

  test('one that was installed and not recorded as such is recorded at the next look', async () => {
    await renew()
    const { store } = world.ports
    let writes = 0
    const cut = {
      ...store,
      transaction: ((work) =>
        writes++ > 0
          ? Promise.reject(new Error('the process died'))
          : store.transaction(work)) as typeof store.transaction,
    }
    await expect(renew({ ...world.ports, store: cut }, true)).rejects.toThrow('died')
    expect((await rows()).map(({ state }) => state).sort()).toEqual(['confirmed', 'issued'])
    expect(await renew()).toMatchObject({ act: 'leave', reason: 'current' })
    expect((await rows()).map(({ state }) => state).sort()).toEqual(['confirmed', 'superseded'])
  })

  test('one that is not in use any more does not stay due for ever', async () => {
    await renew()
    const [old] = await rows()
    Object.assign(world.ports, { listener: null })
    await world.clock.advance((old?.slot ?? 0) - world.clock.now())
    await openRenewal(old ?? { authority: '', serial: '' }, world.ports)
    expect(await world.ports.store.certificates.dueForRenewal(world.clock.now(), 10)).toEqual([])
  })
})
