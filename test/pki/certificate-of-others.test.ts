import { describe, expect, it } from 'vitest'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
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
  sequence,
} from '../../src/protocol/der.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex } from '../fixtures/bytes.ts'
import { certificateWith, rawCertificate, rawIssuer } from '../fixtures/raw-certificate.ts'

const uri = (text: string) => contextPrimitive(6, ia5Bytes(text))

describe('a certificate of others is read', () => {
  it('of version 1, without extensions', () => {
    expect(parseCertificate(rawCertificate({ version: new Uint8Array(0), extensions: null }))).toMatchObject({
      version: 1,
      authority: null,
      keyUsage: null,
    })
  })

  it('of version 2, with unique identifiers', () => {
    const uniqueIdentifiers = concat(contextPrimitive(1, hex('0001')), contextPrimitive(2, hex('0001')))
    expect(
      parseCertificate(
        rawCertificate({ version: contextConstructed(0, integer(1)), uniqueIdentifiers, extensions: null }),
      ).version,
    ).toBe(2)
  })

  it('with critical extensions that are unknown, which it names', () => {
    const extensions = [
      encodeExtension('1.2.3.4', true, nullValue()),
      encodeExtension('1.2.3.5', false, nullValue()),
      encodeExtension('2.5.29.30', true, sequence()),
    ]
    expect(parseCertificate(rawCertificate({ extensions })).unknownCritical).toEqual(['1.2.3.4', '2.5.29.30'])
  })

  it('with FALSE written out, as some authorities do', () => {
    const explicit = sequence(
      objectIdentifier(oid.basicConstraints),
      boolean(false),
      octetString(sequence(boolean(false))),
    )
    expect(parseCertificate(rawCertificate({ extensions: [explicit] })).authority).toBe(null)
  })

  it('with an algorithm that we do not take', () => {
    const ed25519 = sequence(objectIdentifier('1.3.101.112'))
    const der = rawCertificate({ inner: ed25519, outer: ed25519 })
    expect(parseCertificate(der).signatureAlgorithm).toBe(null)
  })

  it('with extended key usages by name where they have one', () => {
    const value = sequence(
      objectIdentifier(oid.clientAuth),
      objectIdentifier(oid.anyExtendedKeyUsage),
      objectIdentifier('1.2.3'),
    )
    expect(parseCertificate(certificateWith(oid.extKeyUsage, value)).extendedKeyUsage).toEqual([
      'clientAuth',
      'anyExtendedKeyUsage',
      '1.2.3',
    ])
  })

  it('with an authority key identifier that names issuer and serial', () => {
    const value = sequence(
      contextPrimitive(0, hex('aa')),
      contextConstructed(1, contextConstructed(4, rawIssuer)),
      contextPrimitive(2, hex('01')),
    )
    expect(parseCertificate(certificateWith(oid.authorityKeyIdentifier, value)).authorityKeyIdentifier).toEqual(
      hex('aa'),
    )
    const nameless = sequence(contextConstructed(1, contextConstructed(4, rawIssuer)), contextPrimitive(2, hex('01')))
    expect(parseCertificate(certificateWith(oid.authorityKeyIdentifier, nameless)).authorityKeyIdentifier).toBe(null)
  })

  it('with distribution points of every form', () => {
    const full = sequence(contextConstructed(0, contextConstructed(0, uri('ldap://a'), uri('http://b'))))
    const relative = sequence(contextConstructed(0, contextConstructed(1, hex('300a06035504030c0363726c').subarray(0))))
    const issuerOnly = sequence(contextConstructed(2, contextConstructed(4, rawIssuer)))
    const value = sequence(full, relative, issuerOnly)
    expect(parseCertificate(certificateWith(oid.crlDistributionPoints, value)).crlDistributionPoints).toEqual([
      'ldap://a',
      'http://b',
    ])
  })

  it('with a serial of 21 octets', () => {
    expect(parseCertificate(rawCertificate({ serial: integer(new Uint8Array(21).fill(0x80)) })).serial).toBe(
      '80'.repeat(21),
    )
  })
})
