import { beforeAll, describe, expect, it } from 'vitest'
import type { Authorities, CertificateOrder, CrlOrder } from '../../src/authority/authority.ts'
import type { Instant, KeyType } from '../../src/model.ts'
import { parseCrl, verifyCrl } from '../../src/pki/crl.ts'
import { validatePath } from '../../src/pki/path.ts'
import { serialFromBytes } from '../../src/pki/serial.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { seededRandom } from '../fakes/random.ts'
import { makeKey } from '../support/certificates.ts'

const random = seededRandom(7)
export const hour = 3_600_000

/** A client certificate of an hour, as a verb would order it. */
export const orderAt = (now: Instant, changes: Partial<CertificateOrder> = {}): CertificateOrder => ({
  serial: serialFromBytes(random.bytes(16)),
  subject: encodeName([['CN', 'device-1']]),
  notBefore: now,
  notAfter: now + hour,
  spki: makeKey().spki,
  extensions: {
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['clientAuth'],
    subjectAlternativeName: { dns: ['device-1.example'], uri: ['spiffe://example/device-1'], ip: [] },
    crlDistributionPoint: 'http://crl.example/crl/issuing-g1/0.crl',
    caIssuers: 'http://crl.example/ca/issuing-g1.cer',
  },
  ...changes,
})

export const crlOrderAt = (now: Instant, changes: Partial<CrlOrder> = {}): CrlOrder => ({
  number: BigInt(now),
  thisUpdate: now,
  nextUpdate: now + 24 * hour,
  entries: [],
  ...changes,
})

export interface AuthoritiesUnderTest {
  authorities: Authorities
  now: Instant
}

/** What every set of authorities promises to the verbs. */
export const issuerContract = (name: string, open: () => Promise<AuthoritiesUnderTest>): void => {
  describe(`${name} as authorities`, () => {
    let now: Instant
    let authorities: Authorities
    beforeAll(async () => {
      ;({ authorities, now } = await open())
    })
    const issuing = () => authorities.issuing
    const issue = async (changes: Partial<CertificateOrder> = {}) => await issuing().issuer.issue(orderAt(now, changes))

    it('know each authority once by id, and the issuing one among them', () => {
      const ids = authorities.all.map(({ id }) => id)
      expect(new Set(ids).size).toBe(ids.length)
      expect(authorities.all).toContain(authorities.issuing)
    })

    it('have a chain from each authority up to a root, under names that are unique', () => {
      for (const { certificate, chain } of authorities.all) {
        expect(chain[0]).toBe(certificate)
        const root = chain.at(-1)
        expect(root?.issuerText).toBe(root?.subjectText)
      }
      const subjects = authorities.all.map(({ certificate }) => certificate.subjectText)
      expect(new Set(subjects).size).toBe(subjects.length)
    })

    it('issue what was ordered, under the name and key of the issuing authority', async () => {
      const order = orderAt(now)
      const parsed = await issuing().issuer.issue(order)
      expect(parsed.subjectText).toBe('CN=device-1')
      expect(Buffer.from(parsed.spki)).toEqual(Buffer.from(order.spki))
      expect(parsed.notBefore).toBe(Math.floor(order.notBefore / 1000) * 1000)
      expect(parsed.notAfter).toBe(Math.floor(order.notAfter / 1000) * 1000)
      expect(parsed.subjectAlternativeName?.names).toMatchObject(order.extensions.subjectAlternativeName ?? {})
      expect(parsed.extendedKeyUsage).toEqual(['clientAuth'])
      expect(parsed.authority).toBeNull()
      expect(parsed.issuerText).toBe(issuing().certificate.subjectText)
      expect(parsed.authorityKeyIdentifier).toEqual(issuing().certificate.subjectKeyIdentifier)
      expect(parsed.crlDistributionPoints).toEqual([order.extensions.crlDistributionPoint])
    })

    it('issue certificates that a gateway with the root alone accepts', async () => {
      const anchors = issuing().chain.slice(-1)
      const intermediates = issuing().chain.slice(0, -1)
      const leaf = await issue()
      expect(validatePath({ leaf, intermediates, anchors, now, purpose: 'clientAuth' })).toMatchObject({ ok: true })
      expect(validatePath({ leaf, intermediates, anchors, now, purpose: 'serverAuth' })).toMatchObject({ ok: false })
    })

    it.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072'] as KeyType[])('issue for a %s key', async (type) => {
      const key = makeKey(type)
      const keyUsage = type.startsWith('rsa')
        ? (['digitalSignature', 'keyEncipherment'] as const)
        : (['digitalSignature'] as const)
      const parsed = await issue({ spki: key.spki, extensions: { ...orderAt(now).extensions, keyUsage } })
      expect(Buffer.from(parsed.spki)).toEqual(Buffer.from(key.spki))
    })

    it('issue many at once, each as ordered', async () => {
      const spki = makeKey().spki
      const names = Array.from({ length: 50 }, (_, index) => `device-${index}`)
      const made = await Promise.all(names.map((device) => issue({ spki, subject: encodeName([['CN', device]]) })))
      expect(made.map(({ subjectText }) => subjectText)).toEqual(names.map((device) => `CN=${device}`))
      expect(new Set(made.map(({ serial }) => serial)).size).toBe(50)
    })

    it('refuse a certificate that would outlive its issuer, telling both ends', async () => {
      const end = issuing().certificate.notAfter
      await expect(issuing().issuer.issue(orderAt(now, { notAfter: end + 1_000 }))).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringContaining(new Date(end).toISOString()),
      })
      expect((await issue({ notAfter: end })).notAfter).toBe(end)
    })

    it('refuse to make another authority', async () => {
      const extensions = {
        ...orderAt(now).extensions,
        authority: { pathLength: 0 },
        keyUsage: ['keyCertSign'] as const,
      }
      await expect(issuing().issuer.issue(orderAt(now, { extensions }))).rejects.toMatchObject({ code: 'refused' })
    })

    it('refuse what the linter refuses', async () => {
      const extensions = orderAt(now).extensions
      const bad: Array<Partial<CertificateOrder>> = [
        { notAfter: now - hour },
        { extensions: { ...extensions, extendedKeyUsage: [] } },
        { extensions: { ...extensions, crlDistributionPoint: 'https://crl.example/0.crl' } },
      ]
      for (const changes of bad)
        await expect(issuing().issuer.issue(orderAt(now, changes))).rejects.toMatchObject({ code: 'refused' })
    })

    it('sign for each authority a CRL that verifies under it, an empty one too', async () => {
      const serial = serialFromBytes(random.bytes(16))
      for (const { certificate, crlSigner } of authorities.all) {
        if (crlSigner === null) continue
        for (const entries of [[], [{ serial, revokedAt: now, reason: 'keyCompromise' as const }]]) {
          const crl = parseCrl((await crlSigner.signCrl(crlOrderAt(now, { entries }))).der)
          expect(verifyCrl(crl, certificate)).toBe(true)
          expect(crl.number).toBe(BigInt(now))
          expect([...crl.entries()].map((entry) => entry.serial)).toEqual(entries.map((entry) => entry.serial))
        }
      }
    })

    it('sign a CRL of many entries', async () => {
      const entries = Array.from({ length: 20_000 }, () => ({
        serial: serialFromBytes(random.bytes(16)),
        revokedAt: now - hour,
        reason: 'superseded' as const,
      }))
      const crl = await issuing().crlSigner?.signCrl(crlOrderAt(now, { entries }))
      expect(parseCrl(crl?.der ?? new Uint8Array()).entryCount).toBe(20_000)
    })

    it('refuse a CRL that names a serial twice', async () => {
      const entry = { serial: serialFromBytes(random.bytes(16)), revokedAt: now, reason: 'superseded' as const }
      const order = crlOrderAt(now, { entries: [entry, entry] })
      await expect(issuing().crlSigner?.signCrl(order)).rejects.toMatchObject({ code: 'refused' })
    })

    it('refuse a CRL that ends before it begins', async () => {
      const order = crlOrderAt(now, { nextUpdate: now - 1_000 })
      await expect(issuing().crlSigner?.signCrl(order)).rejects.toMatchObject({ code: 'refused' })
    })
  })
}
