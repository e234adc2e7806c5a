import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createToken } from '../../src/lifecycle/create-token.ts'
import { enrolDevice } from '../../src/lifecycle/enrol-device.ts'
import { explainCertificate } from '../../src/lifecycle/explain-certificate.ts'
import { importCertificates } from '../../src/lifecycle/import-certificates.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { recordProfiles } from '../../src/lifecycle/record-profiles.ts'
import { registerAuthorities } from '../../src/lifecycle/register-authorities.ts'
import { retireDevice } from '../../src/lifecycle/retire-device.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import type { CertificateKey } from '../../src/model.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { makeAuthority, makeCsr, makeLeaf, type TestAuthority } from '../support/certificates.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
const forgiving = { ...deviceProfile, name: 'forgiving', renewal: { ...deviceProfile.renewal, grace: 30 * day } }
const reuse = { ...deviceProfile, name: 'reuse', renewal: { ...deviceProfile.renewal, keys: 'reuse' as const } }
beforeEach(async () => {
  world = await makeWorld({ profiles: [deviceProfile, forgiving, reuse] })
})
afterEach(() => world.stop())

const row = (key: CertificateKey) => world.ports.store.certificates.get(key)
const all = (filter = {}) => world.ports.store.certificates.list({ limit: 100, ...filter })
const types = async () => (await world.ports.store.events.tail(1_000)).map(({ detailType }) => detailType)
const elsewhere = (): TestAuthority => {
  const now = world.clock.now()
  return makeAuthority({ name: 'Elsewhere', notBefore: now - 1_000 * day, notAfter: now + 3_650 * day })
}
const leaf = (issuer: TestAuthority, subject: string, notAfter = world.clock.now() + 90 * day) =>
  makeLeaf({ issuer, subject, notBefore: world.clock.now() - 100 * day, notAfter })

describe('certificates issued elsewhere are imported', () => {
  const bring = (pem: string, source: 'imported' | 'partner' = 'imported') =>
    importCertificates({ pem, source }, world.ports)

  test('all of a text with what stands between them, to be watched and never renewed', async () => {
    const issuer = elsewhere()
    const [one, two] = [leaf(issuer, 'one.example'), leaf(issuer, 'two.example')]
    const { imported, duplicates } = await bring(`subject=/CN=one\n${one.pem}\nsubject=/CN=two\n${two.pem}`, 'partner')
    expect(imported).toEqual([one.parsed.serial, two.parsed.serial])
    expect(duplicates).toEqual([])
    for (const each of await all({ source: 'partner' }))
      expect(each).toMatchObject({ state: 'confirmed', slot: null, device: null, nextAlertAt: expect.any(Number) })
    expect((await all({ source: 'partner' }))[0]?.authority).toMatch(/^elsewhere-[0-9a-f]{16}$/)
  })

  test('those known already and those given twice are told as duplicates', async () => {
    const issuer = elsewhere()
    const [one, two] = [leaf(issuer, 'one.example'), leaf(issuer, 'two.example')]
    await bring(one.pem)
    expect(await bring(one.pem + two.pem + two.pem)).toEqual({
      imported: [two.parsed.serial],
      duplicates: [one.parsed.serial, two.parsed.serial],
    })
    expect(await all({ source: 'imported' })).toHaveLength(2)
  })

  test('garbage in the middle changes nothing and is named by its place', async () => {
    const issuer = elsewhere()
    const garbage = encodePem('CERTIFICATE', Uint8Array.of(0x30, 0x03, 1, 2, 3))
    const text = leaf(issuer, 'one.example').pem + garbage + leaf(issuer, 'two.example').pem
    await expect(bring(text)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/^certificate 2 of 3/),
    })
    expect(await all({ source: 'imported' })).toEqual([])
  })

  test.each([
    ['nothing', ''],
    ['a text without a certificate', 'hello'],
    ['one that is cut off', '-----BEGIN CERTIFICATE-----\nMIIB\n'],
  ])('%s is refused', async (_, pem) => {
    await expect(bring(pem)).rejects.toMatchObject({ code: 'bad-input' })
  })

  test('one that expired is taken as expired, and not told as coming near its end', async () => {
    const old = leaf(elsewhere(), 'old.example', world.clock.now() - day)
    await bring(old.pem)
    await world.sweep()
    expect(await all({ source: 'imported' })).toMatchObject([{ state: 'expired', nextAlertAt: null }])
    expect(await types()).not.toContain('Certificate Approaching Expiration')
  })

  test("this server's own authorities are duplicates", async () => {
    const pem = world.ports.authorities.all.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der)).join('')
    expect(await bring(pem)).toMatchObject({ imported: [], duplicates: expect.any(Array) })
    expect(await all({ source: 'authority' })).toHaveLength(2)
  })

  test('one is revoked where it was issued, not here', async () => {
    await bring(leaf(elsewhere(), 'one.example').pem)
    const [imported] = await all({ source: 'imported' })
    const key = imported ?? { authority: '', serial: '' }
    await expect(revokeCertificate({ key, reason: 'unspecified' }, world.ports)).rejects.toThrow(/revoke it there/)
  })
})

describe('why a certificate is as it is', () => {
  const why = async (key: CertificateKey) => (await explainCertificate(key, world.ports)).lines.join('\n')
  const inUse = async (profile = 'device') => {
    const device = await world.enrol('device-1', { profile })
    await world.contact(device)
    return device
  }
  const cases: Array<[string, () => Promise<CertificateKey>, RegExp[]]> = [
    [
      'just issued',
      async () => (await world.enrol('device-1')).certificate,
      [/by enrolment/, /delivered at/, /renews at its slot/, /last seen never/],
    ],
    [
      'in use',
      async () => (await inUse()).certificate,
      [/first seen in use at/, /valid until/, /looked at for alerts next at/],
    ],
    ['with its slot opened', async () => passTo(await inUse(), 75), [/renewal open since .*: waits for the device/]],
    [
      'superseded',
      async () => {
        const device = await inUse()
        await world.contact(await world.renew(device))
        return device.certificate
      },
      [/superseded at/, /succeeded by [0-9a-f]+, confirmed/, /not renewed, since it is superseded/],
    ],
    ['a successor', async () => (await world.renew(await inUse())).certificate, [/succeeding [0-9a-f]+/]],
    [
      'expired for good',
      async () => passTo(await inUse(), 95),
      [/expired at/, /cannot renew, since it expired; enrol device device-1 again/],
    ],
    ['expired within its grace', async () => passTo(await inUse('forgiving'), 95), [/may renew after expiry until/]],
    [
      'revoked and not published',
      async () => {
        const { certificate } = await inUse()
        await revokeCertificate({ key: certificate, reason: 'keyCompromise' }, world.ports)
        return certificate
      },
      [/revoked at .*, reason keyCompromise; no published CRL holds it yet/, /not renewed, since it is revoked/],
    ],
    [
      'revoked and published',
      async () => {
        const { certificate } = await inUse()
        await revokeCertificate({ key: certificate, reason: 'keyCompromise' }, world.ports)
        await world.sweep()
        return certificate
      },
      [/first in CRL \d+/],
    ],
    [
      'of a profile that vanished',
      async () => {
        const { certificate } = await inUse()
        Object.assign(world.ports, { profiles: new Map() })
        return certificate
      },
      [/cannot renew: profile device is not configured/],
    ],
    [
      'an authority',
      async () => (await all({ source: 'authority' }))[0] ?? { authority: '', serial: '' },
      [/authority certificate: watched/, /never renewed by this server/],
    ],
  ]
  const passTo = async (device: TestDevice, days: number) => {
    await world.pass(days * day, 5 * day)
    return device.certificate
  }

  test.each(cases)('%s', async (_, make, sentences) => {
    const text = await why(await make())
    for (const sentence of sentences) expect(text).toMatch(sentence)
  })

  test('one whose slot passed while nobody looked', async () => {
    const device = await inUse()
    await world.clock.advance(75 * day)
    expect(await why(device.certificate)).toMatch(/its slot passed at .* next sweep/)
  })

  test('an unknown one is not found', async () => {
    await expect(why({ authority: 'issuing-g1', serial: '4242' })).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('a device that is retired', () => {
  const retire = (device = 'device-1', ports: Ports = world.ports) =>
    retireDevice({ device, reason: 'cessationOfOperation' }, ports)

  test('is told once, however often it is asked, and an unknown one is not found', async () => {
    await world.enrol('device-1')
    const answers = await Promise.all([retire(), retire(), retire()])
    expect(answers.map(({ revoked }) => revoked).sort()).toEqual([0, 0, 1])
    expect((await types()).filter((type) => type === 'Device Retired')).toHaveLength(1)
    await expect(retire('device-9')).rejects.toMatchObject({ code: 'not-found' })
  })

  test('renews nothing and enrols nothing any more, not even in the same moment', async () => {
    const device = await world.enrol('device-1')
    const request = { device: 'device-1', profile: 'device', ttl: day, labels: {} }
    const { token } = await createToken(request, world.ports)
    const csr = parseCsr((await makeCsr({ subject: '' })).der)
    const { authorities } = world.ports
    const issuing = {
      ...authorities.issuing,
      issuer: {
        async issue(order: Parameters<typeof authorities.issuing.issuer.issue>[0]) {
          await retire()
          return authorities.issuing.issuer.issue(order)
        },
      },
    }
    const ports = { ...world.ports, authorities: { ...authorities, issuing } }
    await expect(enrolDevice({ user: '', token, label: null, csr }, ports)).rejects.toThrow(/retired/)
    expect(await world.ports.store.devices.get('device-1')).toMatchObject({ state: 'retired' })
    expect(await all({ device: 'device-1' })).toMatchObject([{ state: 'revoked' }])
    await expect(world.renew(device)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(createToken(request, world.ports)).rejects.toThrow(/retired/)
  })
})

describe('a revocation takes with it', () => {
  test('for a compromised key every certificate of that key, superseded ones too', async () => {
    const device = await world.enrol('device-1', { profile: 'reuse' })
    await world.contact(device)
    const successor = await world.renew(device, device.key)
    await world.contact(successor)
    const { serials } = await revokeCertificate({ key: successor.certificate, reason: 'keyCompromise' }, world.ports)
    expect(serials.sort()).toEqual([device.certificate.serial, successor.certificate.serial].sort())
    expect((await row(device.certificate))?.state).toBe('revoked')
  })

  test('nothing else when the certificate was only replaced', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const successor = await world.renew(device)
    const { serials } = await revokeCertificate({ key: device.certificate, reason: 'superseded' }, world.ports)
    expect(serials).toEqual([device.certificate.serial])
    await world.contact(successor)
  })

  test('a second one changes nothing: the first revocation stands', async () => {
    const { certificate } = await world.enrol('device-1')
    await revokeCertificate({ key: certificate, reason: 'superseded' }, world.ports)
    expect(await revokeCertificate({ key: certificate, reason: 'keyCompromise' }, world.ports)).toMatchObject({
      act: 'leave',
      serials: [],
    })
    expect(await world.ports.store.revocations.get(certificate)).toMatchObject({ reason: 'superseded' })
  })

  test('no authority, and nothing unknown', async () => {
    const [authority] = await all({ source: 'authority' })
    const key = authority ?? { authority: '', serial: '' }
    await expect(revokeCertificate({ key, reason: 'unspecified' }, world.ports)).rejects.toThrow(/rolled over/)
    const unknown = { authority: 'issuing-g1', serial: '4242' }
    await expect(revokeCertificate({ key: unknown, reason: 'unspecified' }, world.ports)).rejects.toMatchObject({
      code: 'not-found',
    })
  })
})

describe('after expiry only the latest of a lineage renews', () => {
  test('not one that a new enrolment of the device has replaced, while it was valid or after', async () => {
    for (const wait of [0, 95 * day]) {
      const id = `device-${wait}`
      const old = await world.enrol(id, { profile: 'forgiving' })
      await world.contact(old)
      await world.clock.advance(wait + 1)
      await world.contact(await world.enrol(id, { profile: 'forgiving' }))
      if (wait === 0) await world.pass(95 * day, 95 * day)
      await expect(world.renew(old)).rejects.toThrow(/successor is in use/)
    }
  })
})

describe('at the start', () => {
  test('authorities are registered once, as certificates to be watched and as anchors', async () => {
    const before = await all({ source: 'authority' })
    await registerAuthorities(world.ports)
    await registerAuthorities(world.ports)
    expect(await all({ source: 'authority' })).toEqual(before)
    expect(before.map(({ authority }) => authority).sort()).toEqual(['root-g1', 'root-g1'])
    expect(await world.ports.store.anchors.list()).toHaveLength(2)
  })

  test('a profile that changed is a new version, one that did not is none', async () => {
    await recordProfiles(world.ports)
    await recordProfiles(world.ports)
    expect(await world.ports.store.profiles.latest('device')).toMatchObject({ version: 1, profile: deviceProfile })
    const changed = { ...deviceProfile, validity: 30 * day }
    await recordProfiles({ ...world.ports, profiles: new Map([['device', changed]]) })
    expect(await world.ports.store.profiles.latest('device')).toMatchObject({ version: 2, profile: changed })
    expect(await world.ports.store.profiles.latest('forgiving')).toMatchObject({ version: 1 })
  })
})
