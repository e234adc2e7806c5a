import { describe, expect, test } from 'vitest'
import type { ParsedCertificate } from '../../src/pki/certificate.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import { lintCertificate } from '../../src/pki/lint.ts'
import { integer, sequence } from '../../src/protocol/der.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import { makeLeaf } from '../support/certificates.ts'
import {
  altNames,
  authorityTbs,
  issuing,
  leafTbs,
  long,
  manyNames,
  period,
  root,
  rootTbs,
  rsaKey,
  testTrips,
  withExtension,
} from './lint-builders.ts'

describe('a certificate passes', () => {
  test.each<[string, Uint8Array, ParsedCertificate | null]>([
    ['as a leaf', leafTbs(), issuing.parsed],
    [
      'as a leaf with an RSA key',
      leafTbs({ spki: rsaKey.spki, extensions: { keyUsage: ['digitalSignature', 'keyEncipherment'] } }),
      issuing.parsed,
    ],
    ['as a leaf that is named by its SAN alone', leafTbs({ subject: encodeName([]) }), issuing.parsed],
    [
      'as a leaf that is named by its subject alone',
      leafTbs({ extensions: { subjectAlternativeName: undefined } }),
      issuing.parsed,
    ],
    [
      'as a SPIFFE leaf',
      altNames({ uri: ['spiffe://example.org/fleet/device-1'], dns: ['device-1.example.org'] }),
      issuing.parsed,
    ],
    ['as a server with a wildcard', altNames({ dns: ['*.example.org', 'localhost'] }), issuing.parsed],
    [
      'with an end after 2050',
      leafTbs({ notAfter: Date.UTC(2051, 0, 1) }),
      { ...issuing.parsed, notAfter: Date.UTC(2052, 0, 1) },
    ],
    ['with a serial of 20 octets', leafTbs({ serial: '7f'.repeat(20) }), issuing.parsed],
    ['with a serial of 64 bits', leafTbs({ serial: '80'.padEnd(16, '0') }), issuing.parsed],
    ['with a CN of 64 characters', leafTbs({ subject: encodeName([['CN', 'x'.repeat(64)]]) }), issuing.parsed],
    [
      'with 16 attributes',
      leafTbs({ subject: encodeName(Array.from({ length: 16 }, () => ['OU', 'a'])) }),
      issuing.parsed,
    ],
    ['with 100 names', altNames({ dns: manyNames.slice(0, 100) }), issuing.parsed],
    ['as a leaf that lives as long as its issuer', leafTbs(long), issuing.parsed],
    ['as an intermediate', authorityTbs(), root.parsed],
    ['as a root', rootTbs(), null],
    ['as a root of RSA', rootTbs({ spki: rsaKey.spki, signatureAlgorithm: 'rsa-sha256' }), null],
  ])('%s', (_, tbs, issuer) => {
    expect(() => lintCertificate(tbs, issuer)).not.toThrow()
  })

  test('as the builders make them', () => {
    expect(() => lintCertificate(root.parsed.tbs, null)).not.toThrow()
    expect(() => lintCertificate(issuing.parsed.tbs, root.parsed)).not.toThrow()
    expect(() =>
      lintCertificate(makeLeaf({ issuer: issuing, subject: 'a', ...period }).parsed.tbs, issuing.parsed),
    ).not.toThrow()
  })
})

testTrips(['well-formed'], {
  'well-formed': [
    ['no certificate', sequence(integer(1)), /ends before/],
    ['no DER', Uint8Array.of(1, 2, 3), /DER/],
    ['nothing', new Uint8Array(0), /DER/],
    [
      'an empty list of alternative names',
      withExtension(oid.subjectAltName, encodeExtension(oid.subjectAltName, false, sequence())),
      /GeneralNames/,
    ],
  ],
})
