import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import type { CertificateContent, ParsedCertificate } from '../../src/pki/certificate.ts'
import { certificateToBeSigned, keyIdentifier, parseCertificate } from '../../src/pki/certificate.ts'
import { encodeExtension, keyUsages } from '../../src/pki/extensions.ts'
import { assembleSigned } from '../../src/pki/signature.ts'
import {
  boolean,
  concat,
  contextConstructed,
  contextPrimitive,
  ia5Bytes,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  readDer,
  sequence,
  tags,
  time,
} from '../../src/protocol/der.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { emptyName, encodeName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
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

const algorithm = sequence(objectIdentifier(oid.ecdsaWithSHA256))

interface RawParts {
  version?: Uint8Array
  serial?: Uint8Array
  inner?: Uint8Array
  validity?: Uint8Array
  spki?: Uint8Array
  uniqueIds?: Uint8Array
  extensions?: Uint8Array[] | null
  tail?: Uint8Array
}

const none = new Uint8Array(0)

const raw = (parts: RawParts = {}): Uint8Array => {
  const extensions =
    parts.extensions === undefined ? [encodeExtension(oid.keyUsage, true, hex('03020780'))] : parts.extensions
  const tbs = sequence(
    parts.version ?? contextConstructed(0, integer(2)),
    parts.serial ?? integer(1),
    parts.inner ?? algorithm,
    content.issuer,
    parts.validity ?? sequence(time(notBefore), time(notAfter)),
    content.subject,
    parts.spki ?? key.spki,
    parts.uniqueIds ?? none,
    extensions === null ? none : contextConstructed(3, sequence(...extensions)),
    parts.tail ?? none,
  )
  return sequence(tbs, algorithm, hex('03020000'))
}

const extended = (identifier: string, value: Uint8Array, critical = false) =>
  raw({ extensions: [encodeExtension(identifier, critical, value)] })
const point = (...parts: Uint8Array[]) => sequence(sequence(...parts))
const uri = (text: string) => contextPrimitive(6, ia5Bytes(text))

describe('a certificate of others is read', () => {
  it('of version 1, without extensions', () => {
    expect(parseCertificate(raw({ version: none, extensions: null }))).toMatchObject({
      version: 1,
      authority: null,
      keyUsage: null,
    })
  })

  it('of version 2, with unique identifiers', () => {
    const uniqueIds = concat(contextPrimitive(1, hex('0001')), contextPrimitive(2, hex('0001')))
    expect(
      parseCertificate(raw({ version: contextConstructed(0, integer(1)), uniqueIds, extensions: null })).version,
    ).toBe(2)
  })

  it('with critical extensions that are unknown, which it names', () => {
    const extensions = [
      encodeExtension('1.2.3.4', true, nullValue()),
      encodeExtension('1.2.3.5', false, nullValue()),
      encodeExtension('2.5.29.30', true, sequence()),
    ]
    expect(parseCertificate(raw({ extensions })).unknownCritical).toEqual(['1.2.3.4', '2.5.29.30'])
  })

  it('with FALSE written out, as some authorities do', () => {
    const explicit = sequence(
      objectIdentifier(oid.basicConstraints),
      boolean(false),
      octetString(sequence(boolean(false))),
    )
    expect(parseCertificate(raw({ extensions: [explicit] })).authority).toBe(null)
  })

  it('with an algorithm that we do not take', () => {
    const ed25519 = sequence(objectIdentifier('1.3.101.112'))
    const der = raw({ inner: ed25519 })
    const [tbs] = readDer(der).children
    expect(parseCertificate(sequence(tbs?.bytes ?? none, ed25519, hex('03020000'))).signatureAlgorithm).toBe(null)
  })

  it('with extended key usages by name where they have one', () => {
    const value = sequence(
      objectIdentifier(oid.clientAuth),
      objectIdentifier(oid.anyExtendedKeyUsage),
      objectIdentifier('1.2.3'),
    )
    expect(parseCertificate(extended(oid.extKeyUsage, value)).extendedKeyUsage).toEqual([
      'clientAuth',
      'anyExtendedKeyUsage',
      '1.2.3',
    ])
  })

  it('with an authority key identifier that names issuer and serial', () => {
    const value = sequence(
      contextPrimitive(0, hex('aa')),
      contextConstructed(1, contextConstructed(4, content.issuer)),
      contextPrimitive(2, hex('01')),
    )
    expect(parseCertificate(extended(oid.authorityKeyIdentifier, value)).authorityKeyIdentifier).toEqual(hex('aa'))
    const nameless = sequence(
      contextConstructed(1, contextConstructed(4, content.issuer)),
      contextPrimitive(2, hex('01')),
    )
    expect(parseCertificate(extended(oid.authorityKeyIdentifier, nameless)).authorityKeyIdentifier).toBe(null)
  })

  it('with distribution points of every form', () => {
    const full = sequence(contextConstructed(0, contextConstructed(0, uri('ldap://a'), uri('http://b'))))
    const relative = sequence(contextConstructed(0, contextConstructed(1, hex('300a06035504030c0363726c').subarray(0))))
    const issuerOnly = sequence(contextConstructed(2, contextConstructed(4, content.issuer)))
    const value = sequence(full, relative, issuerOnly)
    expect(parseCertificate(extended(oid.crlDistributionPoints, value)).crlDistributionPoints).toEqual([
      'ldap://a',
      'http://b',
    ])
  })

  it('with a serial of 21 octets', () => {
    expect(parseCertificate(raw({ serial: integer(new Uint8Array(21).fill(0x80)) })).serial).toBe('80'.repeat(21))
  })
})

describe('a certificate is refused', () => {
  it.each([
    ['with trailing octets', concat(leaf.der, hex('00')), /1 octets follow/],
    ['over 64 KiB', extended('1.2.3', octetString(new Uint8Array(65_536))), /65536 at most/],
    ['that is cut off', leaf.der.subarray(0, 200), /claims/],
    ['that is empty', none, /ends inside a header/],
    ['of version 4', raw({ version: contextConstructed(0, integer(3)) }), /version field 3/],
    ['with version 1 written out', raw({ version: contextConstructed(0, integer(0)) }), /version field 0/],
    ['of version 1 with extensions', raw({ version: none }), /extensions in version 1/],
    [
      'of version 1 with unique identifiers',
      raw({ version: none, uniqueIds: contextPrimitive(1, hex('00')), extensions: null }),
      /unique identifiers in version 1/,
    ],
    ['with a negative serial', raw({ serial: integer(-1) }), /negative/],
    ['with a serial that is not the shortest', raw({ serial: hex('02020001') }), /needless leading octet/],
    ['with a serial of 40 octets', raw({ serial: integer(new Uint8Array(40).fill(1)) }), /40 octets; 32 at most/],
    [
      'whose algorithms differ',
      raw({ inner: sequence(objectIdentifier(oid.ecdsaWithSHA384)) }),
      /differs from the one outside/,
    ],
    [
      'whose algorithms differ in parameters',
      raw({ inner: sequence(objectIdentifier(oid.ecdsaWithSHA256), nullValue()) }),
      /differs from the one outside/,
    ],
    [
      'with a time of no calendar',
      raw({ validity: sequence(hex('170d3236303233303030303030305a'), time(notAfter)) }),
      /notBefore at \d+: not a date/,
    ],
    [
      'with three times',
      raw({ validity: sequence(time(notBefore), time(notAfter), time(notAfter)) }),
      /element too many/,
    ],
    ['without extensions in their field', raw({ extensions: [] }), /Extensions: 0/],
    [
      'with an extension twice',
      raw({ extensions: [encodeExtension('1.2.3', false, nullValue()), encodeExtension('1.2.3', true, nullValue())] }),
      /extension 1\.2\.3 at \d+: it is there twice/,
    ],
    [
      'with too many extensions',
      raw({
        extensions: Array.from({ length: 65 }, (_, index) => encodeExtension(`1.2.${index}`, false, nullValue())),
      }),
      /Extensions: 65/,
    ],
    ['with something after the extensions', raw({ tail: nullValue() }), /element too many/],
    [
      'with a critical flag of 1',
      raw({ extensions: [sequence(objectIdentifier('1.2.3'), hex('010101'), octetString(none))] }),
      /neither 0x00 nor 0xff/,
    ],
    ['without key usage bits', extended(oid.keyUsage, hex('030100')), /no bit is set/],
    [
      'with a path length but no authority',
      extended(oid.basicConstraints, sequence(integer(0))),
      /a path length without CA:TRUE/,
    ],
    [
      'with a negative path length',
      extended(oid.basicConstraints, sequence(boolean(true), integer(-1))),
      /pathLenConstraint/,
    ],
    [
      'with something after basicConstraints',
      extended(oid.basicConstraints, concat(sequence(), hex('00'))),
      /1 octets follow/,
    ],
    ['with an empty extended key usage', extended(oid.extKeyUsage, sequence()), /it is empty/],
    ['with an empty SAN', extended(oid.subjectAltName, sequence()), /GeneralNames: empty/],
    [
      'with a NUL in its SAN',
      extended(oid.subjectAltName, sequence(contextPrimitive(2, hex('610062')))),
      /visible ASCII/,
    ],
    [
      'with a distribution point of another shape',
      extended(oid.crlDistributionPoints, point(nullValue())),
      /an element too many: nullValue/,
    ],
    [
      'with a key identifier that is no octet string',
      extended(oid.subjectKeyIdentifier, nullValue()),
      /expected octetString/,
    ],
    [
      'with a key that is a SET',
      raw({ spki: concat(Uint8Array.of(tags.set), key.spki.subarray(1)) }),
      /expected sequence, found set/,
    ],
    ['with a signature of odd bits', concat(raw().subarray(0, -2), hex('0100')), /unused bits|padding/],
  ])('%s', (_, der, problem) => {
    expect(() => parseCertificate(der)).toThrow(problem)
    expect(() => parseCertificate(der)).toThrow(expect.objectContaining({ name: 'EverleafError', code: 'bad-input' }))
  })

  it('or read, when it was damaged: no other error comes', () => {
    for (const original of [leaf.der, root.der]) {
      fc.assert(
        fc.property(mutationsOf(original), (der) => {
          try {
            const parsed = parseCertificate(der)
            expect(parsed.der).toBe(der)
          } catch (error) {
            if (!(error instanceof EverleafError && error.code === 'bad-input')) throw error
          }
        }),
        { numRuns: 3000 },
      )
    }
  })
})

it('a certificate is read in well under 100 microseconds', () => {
  const rounds = 5000
  for (let round = 0; round < 500; round += 1) parseCertificate(leaf.der)
  const start = performance.now()
  for (let round = 0; round < rounds; round += 1) parseCertificate(leaf.der)
  // Some 15 here; a machine that is loaded six times over still passes.
  expect(((performance.now() - start) * 1000) / rounds).toBeLessThan(100)
})
