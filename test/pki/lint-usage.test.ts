import { encodeExtension } from '../../src/pki/extensions.ts'
import { usageRules } from '../../src/pki/lint-usage.ts'
import { objectIdentifier, octetString, sequence } from '../../src/protocol/der.ts'
import { oid } from '../../src/protocol/oid.ts'
import type { Trips } from './lint-builders.ts'
import {
  authorityTbs,
  key,
  leafTbs,
  period,
  root,
  rootTbs,
  rsaKey,
  testTrips,
  weakKey,
  withExtension,
} from './lint-builders.ts'

const trips: Trips = {
  'validity order': [['no time at all', leafTbs({ notAfter: period.notBefore }), /must be earlier/]],
  'key strength': [
    ['RSA-1024', leafTbs({ spki: weakKey }), /RSA-1024/],
    ['a point off the curve', leafTbs({ spki: key.spki.with(90, (key.spki[90] ?? 0) ^ 1) }), /curve/],
  ],
  'subject key identifier': [
    ['none', withExtension(oid.subjectKeyIdentifier, null), /missing/],
    [
      'that of another key',
      withExtension(
        oid.subjectKeyIdentifier,
        encodeExtension(oid.subjectKeyIdentifier, false, octetString(new Uint8Array(20))),
      ),
      /SHA-1/,
    ],
  ],
  'basic constraints': [['a self-signed leaf', rootTbs({ extensions: { authority: undefined } }), /CA:TRUE/, null]],
  'key usage': [
    ['none', leafTbs({ extensions: { keyUsage: [] } }), /missing/],
    [
      'a leaf that may sign certificates',
      leafTbs({ extensions: { keyUsage: ['digitalSignature', 'keyCertSign'] } }),
      /keyCertSign is not for a leaf/,
    ],
    [
      'a leaf without digitalSignature',
      leafTbs({ spki: rsaKey.spki, extensions: { keyUsage: ['keyEncipherment'] } }),
      /digitalSignature is missing/,
    ],
    [
      'key transport with an elliptic curve',
      leafTbs({ extensions: { keyUsage: ['digitalSignature', 'keyEncipherment'] } }),
      /keyEncipherment is not/,
    ],
    [
      'an authority without cRLSign',
      authorityTbs({ extensions: { keyUsage: ['keyCertSign'] } }),
      /cRLSign is missing, every intermediate/,
      root.parsed,
    ],
    [
      'a root that agrees keys',
      rootTbs({ extensions: { keyUsage: ['keyCertSign', 'cRLSign', 'keyAgreement'] } }),
      /keyAgreement/,
      null,
    ],
  ],
  'extended key usage': [
    ['none in a leaf', leafTbs({ extensions: { extendedKeyUsage: [] } }), /missing/],
    [
      'code signing',
      withExtension(
        oid.extKeyUsage,
        encodeExtension(oid.extKeyUsage, false, sequence(objectIdentifier(oid.codeSigning))),
      ),
      /codeSigning/,
    ],
  ],
}

testTrips(Object.keys(usageRules), trips)
