import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkIn } from '../../src/lifecycle/check-in.ts'
import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import { renewCertificate } from '../../src/lifecycle/renew-certificate.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { makeCsr, makeKey } from '../support/certificates.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  const forgiving = { ...deviceProfile, name: 'forgiving', renewal: { ...deviceProfile.renewal, grace: 30 * day } }
  world = await makeWorld({ profiles: [deviceProfile, forgiving] })
})
afterEach(() => world.stop())

const stateOf = async ({ certificate }: TestDevice) => (await world.ports.store.certificates.get(certificate))?.state
const told = async () => (await world.ports.store.events.tail(100)).map(({ detailType }) => detailType)

describe('a renewal is a two-sided commit (P2)', () => {
  test('the predecessor stays good until its successor was seen in use', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const successor = await world.renew(device)
    expect(await stateOf(device)).toBe('confirmed')
    expect(await stateOf(successor)).toBe('delivered')
    await world.contact(device)
    expect(await stateOf(device)).toBe('confirmed')
    await world.contact(successor)
    expect(await stateOf(device)).toBe('superseded')
    expect(await stateOf(successor)).toBe('confirmed')
    expect(await told()).toContain('Certificate Renewed')
  })

  test('the same predecessor and key give the same certificate, one after the other and all at once', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const key = makeKey()
    const first = await world.renew(device, key)
    const again = await Promise.all(Array.from({ length: 8 }, () => world.renew(device, key)))
    expect(new Set(again.map(({ certificate }) => certificate.serial))).toEqual(new Set([first.certificate.serial]))
    expect(await world.ports.store.certificates.successorsOf(device.certificate)).toHaveLength(1)
    expect((await told()).filter((type) => type === 'Certificate Renewed')).toHaveLength(1)
  })

  test('a client that lost its answer and made a new key gets another successor, and the lost one is superseded', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const lost = await world.renew(device)
    await world.clock.advance(1_000)
    const kept = await world.renew(device)
    expect(kept.certificate.serial).not.toBe(lost.certificate.serial)
    await world.contact(kept)
    expect(await stateOf(lost)).toBe('superseded')
  })

  test('a client that loops is told to come back, and when', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    for (let count = 1; count < deviceProfile.renewal.burst; count++) await world.renew(device)
    await expect(world.renew(device)).rejects.toMatchObject({ code: 'too-many', retryAfter: expect.any(Number) })
    await expect(world.renew(device)).rejects.toThrow(/10 allowed/)
    expect((await told()).filter((type) => type === 'Certificate Renewal Failed')).toHaveLength(1)
    await world.clock.advance(23 * day)
    await world.renew(device)
  })

  test('a superseded certificate renews nothing, and its use with a new key is told as a fork of the lineage', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    const successor = await world.renew(device)
    await world.contact(successor)
    await expect(world.renew(device)).rejects.toThrow(/copy or a restored backup/)
    expect(await told()).toContain('Lineage Forked')
    const again = await world.renew(device, successor.key)
    expect(again.certificate.serial).toBe(successor.certificate.serial)
  })
})

describe('a device renews its own identity only (P8)', () => {
  const attempt = async (device: TestDevice, options: Parameters<typeof makeCsr>[0], label: string | null = null) => {
    const client = await identifyDevice({ certificate: device.certificate.der, purpose: 'renew' }, world.ports)
    return renewCertificate({ client, label, csr: parseCsr((await makeCsr(options)).der) }, world.ports)
  }
  const uri = ['spiffe://everleaf.test/device/device-1']

  test.each([
    ['another subject', { subject: 'device-2', san: { uri } }, /must equal/],
    ['no subject', { subject: '', san: { uri } }, /must equal/],
    ['one more name', { subject: 'device-1', san: { uri, dns: ['x.example'] } }, /must equal/],
    ['no alternative name', { subject: 'device-1' }, /must equal/],
    [
      'a key that the profile does not take',
      { subject: 'device-1', san: { uri }, key: makeKey('rsa-3072') },
      /rsa-3072/,
    ],
  ])('%s is refused', async (_, options, message) => {
    const device = await world.enrol('device-1')
    await expect(attempt(device, options)).rejects.toThrow(message)
    expect(await world.ports.store.certificates.successorsOf(device.certificate)).toEqual([])
  })

  test('another profile by the label of the path is refused', async () => {
    const device = await world.enrol('device-1')
    await expect(attempt(device, { subject: 'device-1', san: { uri } }, 'forgiving')).rejects.toThrow(/profile device/)
  })

  test('a revoked, a retired, a foreign and a listener certificate get nothing', async () => {
    const device = await world.enrol('device-1')
    await revokeCertificate({ key: device.certificate, reason: 'unspecified' }, world.ports)
    await expect(world.renew(device)).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringMatching(/revoked/),
    })
    const other = await makeWorld()
    try {
      const foreign = await other.enrol('device-1')
      await expect(world.renew(foreign)).rejects.toMatchObject({ code: 'unauthenticated' })
    } finally {
      await other.stop()
    }
  })

  test('an authority certificate is no client', async () => {
    const { der } = world.ports.authorities.issuing.certificate
    await expect(identifyDevice({ certificate: der, purpose: 'renew' }, world.ports)).rejects.toMatchObject({
      code: 'forbidden',
    })
  })
})

describe('after expiry', () => {
  test('nothing renews where the profile grants no grace', async () => {
    const device = await world.enrol('device-1')
    await world.contact(device)
    await world.clock.advance(91 * day)
    await expect(world.renew(device)).rejects.toThrow(/expired at .* enrol the device again/)
  })

  test('within the grace the latest of the lineage renews, and nothing else is open to it', async () => {
    const device = await world.enrol('device-1', { profile: 'forgiving' })
    await world.contact(device)
    await world.pass(100 * day, 10 * day)
    expect(await stateOf(device)).toBe('expired')
    await expect(world.contact(device)).rejects.toThrow(/expired/)
    const successor = await world.renew(device)
    await world.contact(successor)
    expect(await told()).toContain('Certificate Renewed After Expiry')
    await expect(world.renew(device)).rejects.toThrow(/successor is in use/)
  })

  test('beyond the grace nothing renews', async () => {
    const device = await world.enrol('device-1', { profile: 'forgiving' })
    await world.contact(device)
    await world.clock.advance(121 * day)
    await expect(world.renew(device)).rejects.toThrow(/possible until/)
  })
})

test('a check-in tells when to renew, and now once the slot was opened', async () => {
  const device = await world.enrol('device-1')
  const ask = async () => {
    const client = await identifyDevice({ certificate: device.certificate.der, purpose: 'read' }, world.ports)
    const request = { agent: '1.0', time: '', trustAnchors: null, crl: null, error: 'disk full' }
    return checkIn({ client, request }, world.ports)
  }
  await world.contact(device)
  const slot = device.certificate.slot ?? 0
  expect((await ask()).renew).toEqual({ now: false, at: new Date(slot).toISOString(), keys: 'rekey' })
  await world.pass(slot - world.clock.now() + 1_000, slot - world.clock.now() + 1_000)
  expect((await ask()).renew.now).toBe(true)
  expect(await world.ports.store.devices.get('device-1')).toMatchObject({
    lastContactAt: world.clock.now(),
    agentVersion: '1.0',
    lastError: 'disk full',
  })
})
