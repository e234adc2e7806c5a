import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { importCertificates } from '../../src/lifecycle/import-certificates.ts'
import { markExpired } from '../../src/lifecycle/mark-expired.ts'
import { openRenewal } from '../../src/lifecycle/open-renewal.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { warnExpiring } from '../../src/lifecycle/warn-expiring.ts'
import type { Certificate, CertificateKey } from '../../src/model.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { day, deviceProfile, makeWorld, type World } from '../support/world.ts'

let world: World
const reuse = { ...deviceProfile, name: 'reuse', renewal: { ...deviceProfile.renewal, keys: 'reuse' as const } }
beforeEach(async () => {
  const retention = { certificates: 365 * day, events: 365 * day }
  world = await makeWorld({ profiles: [deviceProfile, reuse], settings: { retention } })
})
afterEach(() => world.stop())

const told = async (subject: string) =>
  (await world.ports.store.events.tail(1_000)).filter((event) => event.subject === subject)
const types = async (subject: string) => (await told(subject)).map(({ detailType }) => detailType)
const count = async (subject: string, type: string) => (await types(subject)).filter((each) => each === type).length
const row = async (key: CertificateKey) => {
  const found = await world.ports.store.certificates.get(key)
  if (found === null) throw new Error('no such certificate')
  return found
}
/** A certificate of somebody else's authority, valid from now on. */
const foreign = (name: string, validity: number) => {
  const now = world.clock.now()
  const issuer = makeAuthority({ name: 'Elsewhere', notBefore: now - day, notAfter: now + 3_650 * day })
  return makeLeaf({ issuer, subject: name, notBefore: now - day, notAfter: now + validity })
}

describe('what comes to its end is told of in time', () => {
  test('an authority, a year ahead and as Authority Expiring under its own id', async () => {
    const { issuing } = world.ports.authorities
    await world.clock.advance(issuing.certificate.notAfter - world.clock.now() - 300 * day)
    await world.sweep()
    const events = (await world.ports.store.events.tail(100)).filter(
      ({ detailType }) => detailType === 'Authority Expiring',
    )
    expect(events).toHaveLength(1)
    expect(events[0]?.detail).toMatchObject({
      CertificateAuthority: issuing.id,
      SerialNumber: issuing.certificate.serial,
      DaysToExpiry: 300,
      ThresholdDays: 365,
    })
  })

  test('an imported one, by the thresholds of what no profile governs', async () => {
    const leaf = foreign('partner.example', 60 * day)
    await importCertificates({ pem: leaf.pem, source: 'imported' }, world.ports)
    await world.pass(62 * day, day)
    const [{ authority, serial } = { authority: '', serial: '' }] = await world.ports.store.certificates.list({
      source: 'imported',
      limit: 10,
    })
    const events = await told(`${authority}/${serial}`)
    expect(events.map(({ detail }) => detail.ThresholdDays)).toEqual([45, 30, 14, 7, 3, 1, undefined])
    expect(events.at(-1)?.detailType).toBe('Certificate Expired')
  })

  test('one whose profile vanished, by the same thresholds, and never as overdue', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    Object.assign(world.ports, { profiles: new Map() })
    await world.pass(92 * day, day)
    const thresholds = (await told('device-1'))
      .filter(({ detailType }) => detailType === 'Certificate Approaching Expiration')
      .map(({ detail }) => detail.ThresholdDays)
    expect(thresholds).toEqual([45, 30, 14, 7, 3, 1])
    expect(await count('device-1', 'Certificate Renewal Overdue')).toBe(0)
    expect(await count('device-1', 'Certificate Renewal Failed')).toBe(1)
    expect(await count('device-1', 'Certificate Expired')).toBe(1)
  })

  test('one whose profile vanished during an outage too: its slot is spread and its alerts stay', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.sweep()
    Object.assign(world.ports, { profiles: new Map() })
    await world.clock.advance(70 * day)
    expect(await openRenewal(device.certificate, world.ports)).toMatchObject({ act: 'spread' })
    expect((await row(device.certificate)).nextAlertAt).not.toBeNull()
  })

  test('overdue with when it was due and when the device was seen last', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.pass(80 * day, day)
    const [overdue] = (await told('device-1')).filter(({ detailType }) => detailType === 'Certificate Renewal Overdue')
    expect(overdue?.detail).toMatchObject({
      RenewalDueAt: new Date((await row(device.certificate)).slot ?? 0).toISOString(),
      SerialNumber: device.certificate.serial,
    })
  })
})

describe('what is no news is not told', () => {
  test('a superseded one comes near its end and ends in silence', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.clock.advance(60 * day)
    const successor = await world.renew(device)
    await world.contact(successor)
    await world.pass(29 * day, day)
    await world.pass(2 * day, day)
    expect((await row(device.certificate)).state).toBe('expired')
    const serials = (await told('device-1'))
      .filter(({ detailType }) => /Expir|Overdue/.test(detailType))
      .map(({ detail }) => detail.SerialNumber)
    expect(serials).not.toContain(device.certificate.serial)
  })

  test('a successor that waits undelivered is not told of, its predecessor is', async () => {
    const device = await world.enrol('device-1', { profile: 'reuse' })
    await world.contact(device)
    await world.pass(200 * day, day)
    const [successor] = await world.ports.store.certificates.successorsOf(device.certificate)
    expect(successor?.state).toBe('expired')
    const about = (await told('device-1')).filter(({ detailType }) => /Expir|Overdue/.test(detailType))
    expect(about.map(({ detail }) => detail.SerialNumber)).not.toContain(successor?.serial)
    expect(await count('device-1', 'Certificate Expired')).toBe(1)
  })

  test('a revoked one neither comes near its end nor ends', async () => {
    const device = await world.enrol('device-1')
    await revokeCertificate({ key: device.certificate, reason: 'unspecified' }, world.ports)
    await world.pass(95 * day, 5 * day)
    expect((await row(device.certificate)).state).toBe('revoked')
    expect((await types('device-1')).at(-1)).toBe('Certificate Revoked')
  })

  test('an end that a renewed certificate has in use is told with its successor', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.clock.advance(89 * day)
    const successor = await world.renew(device)
    await world.pass(2 * day, day)
    const [expired] = (await told('device-1')).filter(({ detailType }) => detailType === 'Certificate Expired')
    expect(expired?.detail.SuccessorSerialNumber).toBe(successor.certificate.serial)
  })
})

describe('told once', () => {
  /** A store in which `meanwhile` happens between a verb's look and its transaction. */
  const racing = (meanwhile: () => Promise<unknown>): Ports => {
    const { store } = world.ports
    let isDone = false
    return {
      ...world.ports,
      store: {
        ...store,
        async transaction(work) {
          if (!isDone) {
            isDone = true
            await meanwhile()
          }
          return store.transaction(work)
        },
      },
    }
  }
  const near = async (): Promise<Certificate> => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.clock.advance((device.certificate.nextAlertAt ?? 0) - world.clock.now())
    return device.certificate
  }

  test('by two that look at once', async () => {
    const certificate = await near()
    const second = () => warnExpiring(certificate, world.ports)
    expect(await warnExpiring(certificate, racing(second))).toMatchObject({ act: 'leave' })
    expect(await count('device-1', 'Certificate Approaching Expiration')).toBe(1)
    expect(await warnExpiring(certificate, world.ports)).toMatchObject({ act: 'leave', reason: 'not-due' })
  })

  test('and not any more when it was revoked in the same moment', async () => {
    const certificate = await near()
    const revoke = () => revokeCertificate({ key: certificate, reason: 'unspecified' }, world.ports)
    await warnExpiring(certificate, racing(revoke))
    expect(await count('device-1', 'Certificate Approaching Expiration')).toBe(0)
    await world.clock.advance(100 * day)
    expect(await markExpired(certificate, world.ports)).toMatchObject({ act: 'leave' })
  })

  test('as expired', async () => {
    const { certificate } = await world.enrol('device-1')
    await world.clock.advance(certificate.notAfter - world.clock.now())
    expect(await markExpired(certificate, world.ports)).toMatchObject({ act: 'leave', reason: 'not-expired' })
    await world.clock.advance(1)
    const all = await Promise.all([1, 2, 3].map(() => markExpired(certificate, world.ports)))
    expect(all[0]).toMatchObject({ act: 'expire', reason: 'in-use' })
    expect(await count('device-1', 'Certificate Expired')).toBe(1)
  })
})
