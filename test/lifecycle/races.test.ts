import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import { renewCertificate } from '../../src/lifecycle/renew-certificate.ts'
import { retireDevice } from '../../src/lifecycle/retire-device.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { makeCsr, makeKey } from '../support/certificates.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  const renewal = { ...deviceProfile.renewal, grace: 30 * day }
  world = await makeWorld({ profiles: [{ ...deviceProfile, renewal }] })
})
afterEach(() => world.stop())

/** A renewal that was let in; what comes between that and its record happens before the returned function is called. */
const admitted = async ({ id, certificate }: TestDevice) => {
  const client = await identifyDevice({ certificate: certificate.der, purpose: 'renew' }, world.ports)
  const { dns = [], uri = [], ip = [] } = client.parsed.subjectAlternativeName?.names ?? {}
  const csr = parseCsr((await makeCsr({ key: makeKey(), subject: id, san: { dns, uri, ip } })).der)
  return () => renewCertificate({ client, label: null, csr }, world.ports)
}

describe('a renewal that was let in gets nothing (P8)', () => {
  test('when its device is retired before it is recorded, with an expired certificate too', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.clock.advance(91 * day)
    const renew = await admitted(device)
    await retireDevice({ device: 'device-1', reason: 'keyCompromise' }, world.ports)
    await expect(renew()).rejects.toThrow('device device-1 is retired')
  })

  test('when its certificate is superseded before it is recorded', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const renew = await admitted(device)
    await world.contact(await world.renew(device))
    await expect(renew()).rejects.toThrow('was superseded')
  })
})

describe('a device with more than ten thousand certificates', () => {
  const withHistory = async (): Promise<TestDevice> => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const [issuedAt, notAfter] = [world.clock.now() - 100 * day, world.clock.now() - day]
    const past = { state: 'expired', issuedAt, notAfter, token: null, nextAlertAt: null } as const
    await world.ports.store.transaction(async (tx) => {
      for (let count = 0; count < 10_001; count += 1) {
        const serial = `40${count.toString(16).padStart(30, '0')}`
        await tx.certificates.insert({ ...device.certificate, ...past, serial, spkiSha256: serial })
      }
    })
    return device
  }
  const stateOf = async ({ certificate }: TestDevice) => (await world.ports.store.certificates.get(certificate))?.state

  test('loses the one in use when it is retired', async () => {
    const device = await withHistory()
    expect(await retireDevice({ device: 'device-1', reason: 'keyCompromise' }, world.ports)).toEqual({ revoked: 1 })
    expect(await stateOf(device)).toBe('revoked')
  })

  test('loses the unused successor of a revoked one', async () => {
    const device = await withHistory()
    const next = await world.renew(device)
    await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, world.ports)
    expect(await stateOf(next)).toBe('revoked')
  })
})
