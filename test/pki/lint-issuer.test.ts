import { issuerRules } from '../../src/pki/lint-issuer.ts'
import { sequence } from '../../src/protocol/der.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import type { Trips } from './lint-builders.ts'
import { authorityTbs, issuing, leafTbs, long, root, rootTbs, testTrips, withField } from './lint-builders.ts'

const trips: Trips = {
  'issuer name': [
    ['that of another', leafTbs(), /"CN=Issuing", the certificate that signs is of "CN=Root"/, root.parsed],
  ],
  'signature algorithm': [
    [
      'RSA under an elliptic curve',
      leafTbs({ signatureAlgorithm: 'rsa-sha256' }),
      /rsa-sha256, the key that signs needs one such as ecdsa-sha256/,
    ],
    ['SHA-1', withField(2, sequence(fromHex('06072a8648ce3d0401'))), /unknown or weak/],
  ],
  'authority key identifier': [
    [
      'any where the issuer has none',
      leafTbs(),
      /has no subject key/,
      { ...issuing.parsed, subjectKeyIdentifier: null },
    ],
    ['none', leafTbs({ authorityKeyIdentifier: null }), /missing/],
    [
      'that of another key',
      leafTbs({ authorityKeyIdentifier: root.parsed.subjectKeyIdentifier }),
      /the key that signs is/,
    ],
    [
      "a root with another's",
      rootTbs({ authorityKeyIdentifier: root.parsed.subjectKeyIdentifier }),
      /the key that signs is/,
      null,
    ],
  ],
  'issuer may sign': [
    ['a leaf as issuer', leafTbs(), /CA:FALSE/, { ...issuing.parsed, authority: null }],
    ['an issuer without keyCertSign', leafTbs(), /keyCertSign/, { ...issuing.parsed, keyUsage: ['cRLSign'] }],
  ],
  'path length': [
    [
      'an authority under path length 0',
      authorityTbs(),
      /path length 0/,
      { ...root.parsed, authority: { pathLength: 0 } },
    ],
    [
      'as long as the issuer’s',
      authorityTbs({ extensions: { authority: { pathLength: 1 } } }),
      /less than the issuer's 1/,
      root.parsed,
    ],
    [
      'no limit under a limit',
      authorityTbs({ extensions: { authority: { pathLength: null } } }),
      /none, it must be less/,
      root.parsed,
    ],
  ],
  'validity within issuer': [
    ['a leaf that outlives its issuer', leafTbs({ notAfter: long.notAfter + 1000 }), /not within the issuer's/],
    ['a leaf that is older than its issuer', leafTbs({ notBefore: long.notBefore - 1000 }), /not within the issuer's/],
  ],
  "key is not the issuer's": [["the issuer's key", leafTbs({ spki: issuing.key.spki }), /issuer's own/]],
}

testTrips(Object.keys(issuerRules), trips)
