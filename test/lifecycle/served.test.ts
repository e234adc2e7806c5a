import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { truststoreKey } from '../../src/lifecycle/ports.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import { publishTruststore } from '../../src/lifecycle/publish-truststore.ts'
import { readiness } from '../../src/lifecycle/readiness.ts'
import { renewListener } from '../../src/lifecycle/renew-listener.ts'
import { renewalInfo } from '../../src/lifecycle/renewal-info.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { currentCrls, trustAnchors } from '../../src/lifecycle/served-artefacts.ts'
import { openListenerDirectory } from '../../src/listener/directory.ts'
import { parseCrlBundle, parseTruststore } from '../../src/pki/truststore.ts'
import { makeAuthority } from '../support/certificates.ts'
import { day, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

const hour = 3_600_000

describe('renewal information (RFC 9773)', () => {
  const ask = ({ certificate }: Pick<TestDevice, 'certificate'>) => {
    const { subjectKeyIdentifier } = world.ports.authorities.issuing.certificate
    const authorityKeyIdentifier = subjectKeyIdentifier ?? new Uint8Array()
    return renewalInfo({ authorityKeyIdentifier, serial: certificate.serial }, world.ports)
  }
  const windowOf = async (device: TestDevice) => {
    const { suggestedWindow } = (await ask(device)).info
    return [Date.parse(suggestedWindow.start), Date.parse(suggestedWindow.end)] as const
  }

  test('is a window that starts at the stored slot, ends after its start and before expiry', async () => {
    const device = await world.enrol('device-1')
    const [start, end] = await windowOf(device)
    expect(start).toBe(device.certificate.slot)
    expect(end).toBeGreaterThan(start)
    expect(end).toBeLessThanOrEqual(device.certificate.notAfter)
    expect((await ask(device)).info.suggestedWindow.start).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  test('says to ask again within six hours, in time for the slot, and never at once', async () => {
    const device = await world.enrol('device-1')
    const slot = device.certificate.slot ?? 0
    expect((await ask(device)).retryAfter).toBe(6 * hour)
    await world.clock.advance(slot - world.clock.now() - hour)
    expect((await ask(device)).retryAfter).toBe(hour)
    await world.clock.advance(hour - 1)
    expect((await ask(device)).retryAfter).toBe(1_000)
    await world.clock.advance(day)
    expect((await ask(device)).retryAfter).toBe(6 * hour)
  })

  test('lies in the past for one that shall renew now: revoked, or its renewal open', async () => {
    const [first, second] = [await world.enrol('device-1'), await world.enrol('device-2')]
    await revokeCertificate({ key: first.certificate, reason: 'unspecified' }, world.ports)
    expect((await windowOf(first))[1]).toBeLessThan(world.clock.now() + day)
    await world.pass(80 * day, day)
    expect((await windowOf(second))[1]).toBeLessThan(world.clock.now())
  })

  test('is not found for an unknown serial, an unknown authority, and a certificate that is never renewed', async () => {
    const { certificate } = await world.enrol('device-1')
    const unknown = [{ ...certificate, serial: '4242' }, world.ports.authorities.issuing.certificate]
    for (const each of unknown)
      await expect(ask({ certificate: { ...certificate, serial: each.serial } })).rejects.toMatchObject({
        code: 'not-found',
      })
    const request = { authorityKeyIdentifier: new Uint8Array(20), serial: certificate.serial }
    await expect(renewalInfo(request, world.ports)).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('what devices fetch', () => {
  test('has no CRL before one was published', async () => {
    expect((await currentCrls(world.ports)).pem).toBe('')
  })

  test("is this server's own authorities, and never a partner whom gateways trust: it could pose as the server", async () => {
    const partner = makeAuthority({ name: 'Partner', notBefore: world.clock.now(), notAfter: world.clock.now() + day })
    const { fingerprint, subjectText: subject, der, notAfter } = partner.parsed
    const anchor = { fingerprint, subject, der, notAfter, source: 'partner' as const, state: 'active' as const }
    await world.ports.store.transaction((tx) => tx.anchors.insert({ ...anchor, addedAt: world.clock.now() }))
    await world.sweep()
    const published = await world.ports.publication.get(truststoreKey)
    expect(parseTruststore(new TextDecoder().decode(published?.bytes))).toHaveLength(3)
    const subjects = parseTruststore((await trustAnchors(world.ports)).pem).map(({ subjectText }) => subjectText)
    expect(subjects.sort()).toEqual(['CN=Test Issuing G1', 'CN=Test Root G1'])
  })

  test('is the authorities and the CRL of each, under an ETag that changes with them', async () => {
    await world.sweep()
    const [anchors, crls] = [await trustAnchors(world.ports), await currentCrls(world.ports)]
    expect(parseTruststore(anchors.pem)).toHaveLength(2)
    expect(parseCrlBundle(crls.pem)).toHaveLength(2)
    expect(await currentCrls(world.ports)).toEqual(crls)
    await world.clock.advance(1_000)
    await publishCrl({ authority: 'issuing-g1', shard: 0, force: true }, world.ports)
    expect((await currentCrls(world.ports)).etag).not.toBe(crls.etag)
    expect((await trustAnchors(world.ports)).etag).toBe(anchors.etag)
  })
})

describe('the server is ready', () => {
  test('when truststore, CRLs and listener certificate are there, and says what is missing until then', async () => {
    const listener = await openListenerDirectory(join(world.directory, 'listener'))
    const ports = { ...world.ports, listener }
    expect(await readiness(ports)).toEqual({
      ready: false,
      reasons: [
        'the device listener has no certificate yet',
        'no truststore was published yet',
        'no CRL of issuing-g1 was published yet',
        'no CRL of root-g1 was published yet',
      ],
    })
    await publishTruststore({}, ports)
    await world.sweep()
    await renewListener({}, ports)
    expect(await readiness(ports)).toEqual({ ready: true, reasons: [] })
  })

  test('not with a CRL or a listener certificate that is out of date', async () => {
    const listener = await openListenerDirectory(join(world.directory, 'listener'))
    const ports = { ...world.ports, listener }
    await world.sweep()
    await renewListener({}, ports)
    await world.clock.advance(31 * day)
    expect((await readiness(ports)).reasons).toEqual([
      expect.stringMatching(/^the listener's certificate expired at/),
      expect.stringMatching(/^the CRL of issuing-g1 is out of date since/),
      expect.stringMatching(/^the CRL of root-g1 is out of date since/),
    ])
  })
})
