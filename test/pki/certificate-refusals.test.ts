import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import {
  boolean,
  concat,
  contextConstructed,
  contextPrimitive,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  tags,
} from '../../src/protocol/der.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
import { certificateWith, rawCertificate, rawKey, rawNotAfter, rawNotBefore } from '../fixtures/raw-certificate.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'

const notBefore = Date.parse('2026-01-01T00:00:00Z')
const notAfter = Date.parse('2027-01-01T00:00:00Z')
const root = makeAuthority({ name: 'Root', notBefore, notAfter: Date.parse('2066-01-01T00:00:00Z') })
const leaf = makeLeaf({ issuer: root, subject: 'device-1', san: { uri: ['urn:x'] }, notBefore, notAfter })

describe('a certificate is refused', () => {
  it.each([
    ['with trailing octets', concat(leaf.der, hex('00')), /1 octets follow/],
    ['over 64 KiB', certificateWith('1.2.3', octetString(new Uint8Array(65_536))), /65536 at most/],
    ['that is cut off', leaf.der.subarray(0, 200), /claims/],
    ['that is empty', new Uint8Array(0), /ends inside a header/],
    ['of version 4', rawCertificate({ version: contextConstructed(0, integer(3)) }), /version field 3/],
    ['with version 1 written out', rawCertificate({ version: contextConstructed(0, integer(0)) }), /version field 0/],
    ['of version 1 with extensions', rawCertificate({ version: new Uint8Array(0) }), /extensions in version 1/],
    [
      'of version 1 with unique identifiers',
      rawCertificate({
        version: new Uint8Array(0),
        uniqueIdentifiers: contextPrimitive(1, hex('00')),
        extensions: null,
      }),
      /unique identifiers in version 1/,
    ],
    ['with a negative serial', rawCertificate({ serial: integer(-1) }), /negative/],
    ['with a serial that is not the shortest', rawCertificate({ serial: hex('02020001') }), /needless leading octet/],
    [
      'with a serial of 40 octets',
      rawCertificate({ serial: integer(new Uint8Array(40).fill(1)) }),
      /40 octets; 32 at most/,
    ],
    [
      'whose algorithms differ',
      rawCertificate({ inner: sequence(objectIdentifier(oid.ecdsaWithSHA384)) }),
      /differs from the one outside/,
    ],
    [
      'whose algorithms differ in parameters',
      rawCertificate({ inner: sequence(objectIdentifier(oid.ecdsaWithSHA256), nullValue()) }),
      /differs from the one outside/,
    ],
    [
      'with a time of no calendar',
      rawCertificate({ validity: sequence(hex('170d3236303233303030303030305a'), rawNotAfter) }),
      /notBefore at \d+: not a date/,
    ],
    [
      'with three times',
      rawCertificate({ validity: sequence(rawNotBefore, rawNotAfter, rawNotAfter) }),
      /element too many/,
    ],
    ['without extensions in their field', rawCertificate({ extensions: [] }), /Extensions: 0/],
    [
      'with an extension twice',
      rawCertificate({
        extensions: [encodeExtension('1.2.3', false, nullValue()), encodeExtension('1.2.3', true, nullValue())],
      }),
      /extension 1\.2\.3 at \d+: it is there twice/,
    ],
    [
      'with too many extensions',
      rawCertificate({
        extensions: Array.from({ length: 65 }, (_, index) => encodeExtension(`1.2.${index}`, false, nullValue())),
      }),
      /Extensions: 65/,
    ],
    ['with something after the extensions', rawCertificate({ tail: nullValue() }), /element too many/],
    [
      'with a critical flag of 1',
      rawCertificate({
        extensions: [sequence(objectIdentifier('1.2.3'), hex('010101'), octetString(new Uint8Array(0)))],
      }),
      /neither 0x00 nor 0xff/,
    ],
    ['without key usage bits', certificateWith(oid.keyUsage, hex('030100')), /no bit is set/],
    [
      'with a path length but no authority',
      certificateWith(oid.basicConstraints, sequence(integer(0))),
      /a path length without CA:TRUE/,
    ],
    [
      'with a negative path length',
      certificateWith(oid.basicConstraints, sequence(boolean(true), integer(-1))),
      /pathLenConstraint/,
    ],
    [
      'with something after basicConstraints',
      certificateWith(oid.basicConstraints, concat(sequence(), hex('00'))),
      /1 octets follow/,
    ],
    ['with an empty extended key usage', certificateWith(oid.extKeyUsage, sequence()), /it is empty/],
    ['with an empty SAN', certificateWith(oid.subjectAltName, sequence()), /GeneralNames: empty/],
    [
      'with a NUL in its SAN',
      certificateWith(oid.subjectAltName, sequence(contextPrimitive(2, hex('610062')))),
      /visible ASCII/,
    ],
    [
      'with a distribution point of another shape',
      certificateWith(oid.crlDistributionPoints, sequence(sequence(nullValue()))),
      /an element too many: nullValue/,
    ],
    [
      'with a key identifier that is no octet string',
      certificateWith(oid.subjectKeyIdentifier, nullValue()),
      /expected octetString/,
    ],
    [
      'with a key that is a SET',
      rawCertificate({ spki: concat(Uint8Array.of(tags.set), rawKey.spki.subarray(1)) }),
      /expected sequence, found set/,
    ],
    ['with a signature of odd bits', concat(rawCertificate().subarray(0, -2), hex('0100')), /unused bits|padding/],
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
