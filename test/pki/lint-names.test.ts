import { encodeExtension } from '../../src/pki/extensions.ts'
import { nameRules } from '../../src/pki/lint-names.ts'
import { contextPrimitive, objectIdentifier, printableString, sequence, utf8String } from '../../src/protocol/der.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import type { Trips } from './lint-builders.ts'
import { altNames, authorityTbs, leafTbs, manyNames, rawName, root, testTrips, withExtension } from './lint-builders.ts'

/** http://a */
const distributionPoint = fromHex('300ea00ca00a8608687474703a2f2f61')

const trips: Trips = {
  'subject bounds': [
    [
      'a CN of 65 characters',
      leafTbs({ subject: rawName(oid.commonName, utf8String('x'.repeat(65))) }),
      /CN has 65 characters/,
    ],
    ['a country of three letters', leafTbs({ subject: rawName(oid.countryName, printableString('CHE')) }), /C has 3/],
    ['an empty value', leafTbs({ subject: rawName(oid.commonName, utf8String('')) }), /CN has 0/],
    ['a line break', leafTbs({ subject: rawName(oid.commonName, utf8String('a\nb')) }), /control/],
    ['blanks around', leafTbs({ subject: rawName(oid.commonName, utf8String(' a')) }), /blanks/],
    ['an attribute of somebody', leafTbs({ subject: rawName('1.2.3.4', utf8String('a')) }), /1\.2\.3\.4/],
    [
      '17 attributes',
      leafTbs({ subject: encodeName(Array.from({ length: 17 }, () => ['OU', 'a'] as const)) }),
      /17 attributes/,
    ],
  ],
  named: [
    [
      'no name at all',
      leafTbs({ subject: encodeName([]), extensions: { subjectAlternativeName: undefined } }),
      /neither/,
    ],
    ['an authority without subject', authorityTbs({ subject: encodeName([]) }), /authority must/, root.parsed],
  ],
  'alternative names': [
    ['a blank in a DNS name', altNames({ dns: ['a_b.example.org'] }), /"a_b\.example\.org" is no DNS name/],
    ['a DNS name with a wildcard inside', altNames({ dns: ['a.*.example.org'] }), /no DNS name/],
    ['a label of 64 characters', altNames({ dns: [`${'x'.repeat(64)}.org`] }), /no DNS name/],
    ['a DNS name with a dot at its end', altNames({ dns: ['example.org.'] }), /no DNS name/],
    ['a relative URI', altNames({ uri: ['device/1'] }), /no absolute URI/],
    ['101 names', altNames({ dns: manyNames }), /101 names/],
    [
      'an e-mail address',
      withExtension(
        oid.subjectAltName,
        encodeExtension(oid.subjectAltName, false, sequence(contextPrimitive(1, Uint8Array.of(0x61)))),
      ),
      /1 names that are neither/,
    ],
  ],
  'alternative name criticality': [
    [
      'critical beside a subject',
      withExtension(
        oid.subjectAltName,
        encodeExtension(oid.subjectAltName, true, sequence(contextPrimitive(2, Uint8Array.of(0x61)))),
      ),
      /must not be critical/,
    ],
  ],
  spiffe: [
    ['two ids', altNames({ uri: ['spiffe://example.org/a', 'urn:b'] }), /2 URIs/],
    ['a trust domain in upper case', altNames({ uri: ['spiffe://Example.org/a'] }), /spiffe:\/\/trust-domain/],
    ['a port', altNames({ uri: ['spiffe://example.org:1/a'] }), /spiffe:\/\/trust-domain/],
    ['a slash at the end', altNames({ uri: ['spiffe://example.org/'] }), /spiffe:\/\/trust-domain/],
  ],
  'CRL distribution point': [
    [
      'two URLs',
      withExtension(
        oid.crlDistributionPoints,
        encodeExtension(oid.crlDistributionPoints, false, sequence(distributionPoint, distributionPoint)),
      ),
      /2 URLs/,
    ],
    ['https', leafTbs({ extensions: { crlDistributionPoint: 'https://pki.example.org/0.crl' } }), /no http:\/\/ URL/],
    ['no host', leafTbs({ extensions: { crlDistributionPoint: 'http:///0.crl' } }), /no http:\/\/ URL/],
  ],
  'authority information': [
    ['https', leafTbs({ extensions: { caIssuers: 'https://pki.example.org/ca.cer' } }), /no http:\/\/ URL/],
    [
      'an OCSP responder',
      withExtension(
        oid.authorityInfoAccess,
        encodeExtension(
          oid.authorityInfoAccess,
          false,
          sequence(sequence(objectIdentifier('1.3.6.1.5.5.7.48.1'), contextPrimitive(6, Uint8Array.of(0x61)))),
        ),
      ),
      /caIssuers/,
    ],
    [
      'an empty list',
      withExtension(oid.authorityInfoAccess, encodeExtension(oid.authorityInfoAccess, false, sequence())),
      /empty/,
    ],
  ],
}

testTrips(Object.keys(nameRules), trips)
