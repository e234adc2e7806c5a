import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createToken } from '../../src/lifecycle/create-token.ts'
import { enrolDevice } from '../../src/lifecycle/enrol-device.ts'
import { retireDevice } from '../../src/lifecycle/retire-device.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { makeCsr, makeKey } from '../support/certificates.ts'
import { day, deviceProfile, makeWorld, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  const labelled = { ...deviceProfile, name: 'labelled', subject: { O: '{label.site}', CN: '{device}' } }
  world = await makeWorld({ profiles: [deviceProfile, labelled] })
})
afterEach(() => world.stop())

const token = async (device = 'device-1', profile = 'device', labels = {}) =>
  (await createToken({ device, profile, ttl: day, labels }, world.ports)).token
const csrOf = async (options: Parameters<typeof makeCsr>[0]) => parseCsr((await makeCsr(options)).der)
const enrol = async (secret: string, more: Partial<Parameters<typeof enrolDevice>[0]> = {}) =>
  enrolDevice({ user: '', token: secret, label: null, csr: await csrOf({ subject: '' }), ...more }, world.ports)

describe('a first enrolment', () => {
  test('gives the names of the profile, whatever of them the request repeats', async () => {
    const csr = await csrOf({ subject: 'device-1', san: { uri: ['spiffe://everleaf.test/device/device-1'] } })
    const certificate = await enrol(await token(), { csr })
    const parsed = parseCertificate(certificate.der)
    expect(parsed.subjectText).toBe('CN=device-1')
    expect(parsed.subjectAlternativeName?.names.uri).toEqual(['spiffe://everleaf.test/device/device-1'])
    expect(parsed.extendedKeyUsage).toEqual(['clientAuth'])
    expect(parsed.crlDistributionPoints).toEqual(['http://crl.everleaf.test/crl/issuing-g1/0.crl'])
    expect(await world.ports.store.certificates.get(certificate)).toMatchObject({ state: 'issued', device: 'device-1' })
  })

  test('fills labels into the subject', async () => {
    const certificate = await enrol(await token('device-1', 'labelled', { site: 'Hall 3' }))
    expect(certificate.subject).toBe('CN=device-1,O=Hall 3')
  })

  test('asked for again with the same token and key gives the same certificate, since an answer can be lost', async () => {
    const secret = await token()
    const csr = await csrOf({ subject: 'device-1' })
    const [first, second] = [await enrol(secret, { csr }), await enrol(secret, { csr })]
    expect(second.serial).toBe(first.serial)
    expect(await world.ports.store.certificates.list({ device: 'device-1', limit: 10 })).toHaveLength(1)
  })

  test('asked for many times at once gives one certificate', async () => {
    const secret = await token()
    const csr = await csrOf({ subject: 'device-1' })
    const all = await Promise.all(Array.from({ length: 8 }, () => enrol(secret, { csr })))
    expect(new Set(all.map(({ serial }) => serial)).size).toBe(1)
  })

  test('with two keys at once gives the token to one of them only', async () => {
    const secret = await token()
    const all = await Promise.allSettled([enrol(secret), enrol(secret), enrol(secret)])
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await world.ports.store.certificates.list({ device: 'device-1', limit: 10 })).toHaveLength(1)
  })
})

describe('an enrolment is refused and changes nothing', () => {
  const refusals: Array<[string, () => Promise<unknown>, RegExp]> = [
    ['with a token that was never given out', () => enrol('AAAA'), /not known/],
    ['with a prefix of a token', async () => enrol((await token()).slice(0, -1)), /not known/],
    ['with a token and more', async () => enrol(`${await token()}\0x`), /not known/],
    ['with the token of another device', async () => enrol(await token(), { user: 'device-2' }), /another device/],
    ['under the label of another profile', async () => enrol(await token(), { label: 'labelled' }), /profile device/],
    [
      'for a subject that is not the device',
      async () => enrol(await token(), { csr: await csrOf({ subject: 'device-2' }) }),
      /CN=device-2 is not this device's/,
    ],
    [
      'for a name that the profile does not grant',
      async () => enrol(await token(), { csr: await csrOf({ subject: 'device-1', san: { dns: ['admin.example'] } }) }),
      /admin\.example is not this device's/,
    ],
    [
      'for a key that the profile does not take',
      async () => enrol(await token(), { csr: await csrOf({ subject: '', key: makeKey('rsa-3072') }) }),
      /has rsa-3072/,
    ],
    [
      'when the token expired',
      async () => {
        const secret = await token()
        await world.clock.advance(day)
        return enrol(secret)
      },
      /expired/,
    ],
    [
      'when the token was used with another key',
      async () => {
        const secret = await token()
        await enrol(secret)
        return enrol(secret)
      },
      /was used/,
    ],
  ]

  test.each(refusals)('%s', async (_, attempt, message) => {
    const before = async () => (await world.ports.store.certificates.list({ device: 'device-1', limit: 10 })).length
    await expect(attempt()).rejects.toThrow(message)
    expect(await before()).toBeLessThanOrEqual(1)
    expect((await world.ports.store.certificates.list({ device: 'device-2', limit: 10 })).length).toBe(0)
  })

  test('when the device was retired after the token was made', async () => {
    const secret = await token()
    await world.enrol('device-1')
    await retireDevice({ device: 'device-1', reason: 'cessationOfOperation' }, world.ports)
    await expect(enrol(secret)).rejects.toThrow(/retired/)
  })
})

describe('a token is not made', () => {
  const make = (request: Partial<Parameters<typeof createToken>[0]>) =>
    createToken({ device: 'device-1', profile: 'device', ttl: day, labels: {}, ...request }, world.ports)

  test.each([
    ['for an unknown profile', { profile: 'devise' }, /unknown profile devise; there are device, labelled/],
    ['for an id that does not fit a name', { device: 'a b' }, /letters, digits/],
    ['for longer than 30 days', { ttl: 31 * day }, /30 days/],
    [
      'with a label that no certificate can hold',
      { profile: 'labelled', labels: { site: 'x'.repeat(200) } },
      /cannot be written/,
    ],
    ['without a label that the profile needs', { profile: 'labelled' }, /\{label\.site\}/],
  ])('%s', async (_, request, message) => {
    await expect(make(request)).rejects.toThrow(message)
  })

  test('and only the hash of one that is made is stored', async () => {
    const { token: secret } = await make({})
    expect(await world.ports.store.tokens.get(secret)).toBeNull()
    const { tokenHash } = await import('../../src/lifecycle/token-hash.ts')
    const stored = await world.ports.store.tokens.get(tokenHash(secret))
    expect(stored).toMatchObject({ device: 'device-1', usedAt: null })
    expect(JSON.stringify(stored)).not.toContain(secret)
  })
})
