import { describe, expect, test } from 'vitest'
import type { ParsedCertificate } from '../../src/pki/certificate.ts'
import type { CrlContent } from '../../src/pki/crl.ts'
import { crlToBeSigned } from '../../src/pki/crl.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import { lintCrl } from '../../src/pki/lint.ts'
import { crlRules } from '../../src/pki/lint-crl.ts'
import { algorithmIdentifier } from '../../src/pki/signature.ts'
import {
  bitString,
  contextConstructed,
  contextPrimitive,
  integer,
  readDer,
  sequence,
  time,
} from '../../src/protocol/der.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import { oid } from '../../src/protocol/oid.ts'
import { makeAuthority } from '../support/certificates.ts'
import { crlContent, day, thisUpdate } from './crl-builders.ts'

const period = { notBefore: thisUpdate - day, notAfter: thisUpdate + 365 * day }
const authority = makeAuthority({ name: 'CA', ...period })
const other = makeAuthority({ name: 'CA', ...period })
const issuer = authority.parsed

const entry = (serial: string) => ({ serial, revokedAt: thisUpdate, reason: 'superseded' as const })
const tbs = (content: Partial<CrlContent> = {}) => crlToBeSigned(crlContent(authority, content))

/** As if signed: the algorithm outside as inside, and a signature that nobody looks at here. */
const around = (bytes: Uint8Array): Uint8Array => {
  if (bytes.length === 0) return bytes
  const algorithm = readDer(bytes).children[1]?.bytes ?? algorithmIdentifier('ecdsa-sha256')
  return sequence(bytes, algorithm, bitString(new Uint8Array(8)))
}

const withExtensions = (...extensions: Uint8Array[]): Uint8Array =>
  sequence(
    integer(1),
    algorithmIdentifier('ecdsa-sha256'),
    issuer.subject,
    time(thisUpdate),
    time(thisUpdate + day),
    contextConstructed(0, sequence(...extensions)),
  )

const number = (value: bigint) => encodeExtension(oid.crlNumber, false, integer(value))
const keyIdentifier = encodeExtension(
  oid.authorityKeyIdentifier,
  false,
  sequence(contextPrimitive(0, issuer.subjectKeyIdentifier ?? new Uint8Array(0))),
)

const trips: Record<string, Array<[string, Uint8Array, RegExp, ParsedCertificate?, bigint?]>> = {
  'issuer name': [
    [
      'of another authority',
      tbs(),
      /the certificate that signs is of "CN=Other"/,
      makeAuthority({ name: 'Other', ...period }).parsed,
    ],
  ],
  'signature algorithm': [
    ['of another family', tbs({ signatureAlgorithm: 'rsa-sha256' }), /rsa-sha256/],
    [
      'that is weak',
      sequence(
        ...readDer(tbs()).children.map(({ bytes }, index) =>
          index === 1 ? sequence(fromHex('06072a8648ce3d0401')) : bytes,
        ),
      ),
      /unknown or weak/,
    ],
  ],
  'authority key identifier': [
    ['of another key', tbs(), /the key that signs is/, other.parsed],
    ['that is missing', withExtensions(number(5n)), /missing/],
  ],
  'issuer may sign': [
    ['no CRLs', tbs(), /has no cRLSign/, { ...issuer, keyUsage: ['keyCertSign'] }],
    ['nothing', tbs(), /CA:FALSE/, { ...issuer, authority: null }],
  ],
  'CRL number': [['of zero', withExtensions(keyIdentifier, number(0n)), /positive/]],
  'CRL number grows': [
    ['that is the last one’s', tbs({ number: 9n }), /9, it must be larger than the last one's 9/, issuer, 9n],
    ['that is smaller', tbs({ number: 8n }), /larger/, issuer, 9n],
  ],
  'critical extension': [
    [
      'of a delta CRL',
      withExtensions(keyIdentifier, number(5n), encodeExtension(oid.deltaCrlIndicator, true, integer(1))),
      /2\.5\.29\.27/,
    ],
  ],
  'serial once': [
    ['side by side', tbs({ entries: [entry('41'), entry('40'), entry('40')] }), /40 occurs/],
    ['far apart', tbs({ entries: [entry('40'), entry('42'), entry('41'), entry('43'), entry('40')] }), /40 occurs/],
  ],
  'well-formed': [
    ['of a CRL without number', withExtensions(keyIdentifier), /no CRL number/],
    ['of something else', sequence(integer(1)), /ends before/],
    ['of nothing', new Uint8Array(0), /DER/],
  ],
}

describe('the rule', () => {
  for (const [rule, cases] of Object.entries(trips)) {
    test.each(cases)(`${rule} refuses one %s`, (_, bytes, message, signer = issuer, previousNumber) => {
      const lint = () => lintCrl(around(bytes), signer, { previousNumber })
      expect(lint).toThrow(expect.objectContaining({ code: 'refused', message: expect.stringMatching(message) }))
      expect(lint).toThrow(`lint ${rule}: `)
    })
  }
})

test('every rule has something that trips it', () => {
  expect(Object.keys(trips).sort()).toEqual([...Object.keys(crlRules), 'well-formed'].sort())
})

test.each<[string, Partial<CrlContent>, bigint | undefined]>([
  ['an empty one', {}, undefined],
  ['unsorted entries', { entries: ['50', '40', '4000', '60'].map(entry) }, undefined],
  ['sorted entries', { entries: ['40', '50', '60'].map(entry) }, undefined],
  ['a number that grows', { number: 10n }, 9n],
])('%s passes', (_, content, previousNumber) => {
  expect(() => lintCrl(around(tbs(content)), issuer, { previousNumber })).not.toThrow()
})
