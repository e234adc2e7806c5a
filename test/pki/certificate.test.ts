import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import type { CertificateContent, ParsedCertificate } from '../../src/pki/certificate.ts'
import { certificateToBeSigned, keyIdentifier, parseCertificate } from '../../src/pki/certificate.ts'
import { keyUsages } from '../../src/pki/extensions.ts'
import { assembleSigned } from '../../src/pki/signature.ts'
import { concat } from '../../src/protocol/der.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { emptyName, encodeName } from '../../src/protocol/name.ts'
import { hex } from '../fixtures/bytes.ts'
import { makeAuthority, makeKey, makeLeaf } from '../support/certificates.ts'

const notBefore = Date.parse('2026-01-01T00:00:00Z')
const notAfter = Date.parse('2027-01-01T00:00:00Z')
const key = makeKey()
const root = makeAuthority({ name: 'Root', notBefore, notAfter: Date.parse('2066-01-01T00:00:00Z'), pathLength: null })
const leaf = makeLeaf({ issuer: root, subject: 'device-1', key, san: { uri: ['urn:x'] }, notBefore, notAfter })

const content: CertificateContent = {
  serial: '7f0102030405060708090a0b0c0d0e0f',
  signatureAlgorithm: 'ecdsa-sha256',
  issuer: encodeName([['CN', 'Issuing']]),
  subject: encodeName([['CN', 'device-1']]),
  notBefore,
  notAfter,
  spki: key.spki,
  authorityKeyIdentifier: hex('0102'),
  extensions: { keyUsage: ['digitalSignature'] },
}
const signed = (tbs: Uint8Array) => assembleSigned(tbs, 'ecdsa-sha256', hex('00'))
const roundTrip = (changes: Partial<CertificateContent> = {}): ParsedCertificate =>
  parseCertificate(signed(certificateToBeSigned({ ...content, ...changes })))

describe('a certificate that we write', () => {
  it('says what it was told and no more', () => {
    const parsed = roundTrip({
      extensions: {
        keyUsage: ['digitalSignature', 'keyEncipherment'],
        extendedKeyUsage: ['clientAuth'],
        subjectAlternativeName: { dns: ['a.example'], uri: [], ip: [] },
        crlDistributionPoint: 'http://pki.example/0.crl',
        caIssuers: 'http://pki.example/ca.cer',
      },
    })
    expect(parsed).toMatchObject({
      version: 3,
      serial: content.serial,
      issuer: content.issuer,
      issuerText: 'CN=Issuing',
      subject: content.subject,
      subjectText: 'CN=device-1',
      notBefore,
      notAfter,
      spki: key.spki,
      signatureAlgorithm: 'ecdsa-sha256',
      authority: null,
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsage: ['clientAuth'],
      authorityKeyIdentifier: hex('0102'),
      crlDistributionPoints: ['http://pki.example/0.crl'],
      unknownCritical: [],
    })
    expect(parsed.subjectAlternativeName?.names).toEqual({ dns: ['a.example'], uri: [], ip: [], others: 0 })
    expect(toHex(parsed.subjectKeyIdentifier ?? hex(''))).toBe(toHex(keyIdentifier(key.spki)))
  })

  it('has no extension that was not asked for', () => {
    const parsed = roundTrip({
      authorityKeyIdentifier: null,
      extensions: { keyUsage: [], subjectAlternativeName: { dns: [], uri: [], ip: [] } },
    })
    expect(parsed).toMatchObject({
      keyUsage: null,
      extendedKeyUsage: null,
      subjectAlternativeName: null,
      authorityKeyIdentifier: null,
      crlDistributionPoints: [],
    })
  })

  it('of an authority says so', () => {
    expect(
      roundTrip({ extensions: { authority: { pathLength: 0 }, keyUsage: ['keyCertSign', 'cRLSign'] } }).authority,
    ).toEqual({ pathLength: 0 })
    expect(roundTrip({ extensions: { authority: { pathLength: null }, keyUsage: ['keyCertSign'] } }).authority).toEqual(
      { pathLength: null },
    )
  })

  it.each(keyUsages)('can have the usage %s', (usage) => {
    expect(roundTrip({ extensions: { keyUsage: [usage] } }).keyUsage).toEqual([usage])
  })

  it('has a critical SAN when it has no subject', () => {
    const extensions = {
      keyUsage: ['digitalSignature'] as const,
      subjectAlternativeName: { dns: ['a'], uri: [], ip: [] },
    }
    const critical = Buffer.from('0603551d110101ff', 'hex')
    expect(Buffer.from(certificateToBeSigned({ ...content, subject: emptyName, extensions })).includes(critical)).toBe(
      true,
    )
    expect(Buffer.from(certificateToBeSigned({ ...content, extensions })).includes(critical)).toBe(false)
  })

  it('is cut to whole seconds and lives past 2049', () => {
    const parsed = roundTrip({ notBefore: notBefore + 999, notAfter: Date.parse('2050-01-01T00:00:00.999Z') })
    expect(parsed.notBefore).toBe(notBefore)
    expect(parsed.notAfter).toBe(Date.parse('2050-01-01T00:00:00Z'))
  })

  it.each(['00', '7f', '80', 'ff'.repeat(20), '0080'])('has the serial %s as a positive number', (serial) => {
    expect(roundTrip({ serial }).serial).toBe(serial.replace(/^00(?=..)/, ''))
  })

  it.each(['ftp://x', 'http://a b', 'http://ü', `http://${'x'.repeat(2048)}`, 'http://'])(
    'is not written with the URL "%s"',
    (url) => {
      expect(() => roundTrip({ extensions: { keyUsage: [], crlDistributionPoint: url } })).toThrow(EverleafError)
      expect(() => roundTrip({ extensions: { keyUsage: [], caIssuers: url } })).toThrow(EverleafError)
    },
  )

  it('is read without copying', () => {
    expect(leaf.parsed.tbs.buffer).toBe(leaf.der.buffer)
    expect(leaf.parsed.spki.buffer).toBe(leaf.der.buffer)
  })

  it('has the SHA-1 of its point as key identifier, as RFC 5280 method 1 says', () => {
    const { x = '', y = '' } = key.publicKey.export({ format: 'jwk' })
    const point = concat(hex('04'), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url'))
    expect(toHex(keyIdentifier(key.spki))).toBe(createHash('sha1').update(point).digest('hex'))
  })
})

it('a certificate is read in well under 100 microseconds', () => {
  const microseconds = (rounds: number): number => {
    const start = performance.now()
    for (let round = 0; round < rounds; round += 1) parseCertificate(leaf.der)
    return ((performance.now() - start) * 1000) / rounds
  }
  // The best of many short runs, so that a busy machine has to be busy all the time to spoil it.
  expect(Math.min(...Array.from({ length: 40 }, () => microseconds(100)))).toBeLessThan(100)
})
