import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EverleafError, isEverleafError } from '../../src/errors.ts'
import { describeKey, inspectPublicKey, keyBits } from '../../src/pki/key.ts'
import { concat, integer, nullValue, objectIdentifier, sequence } from '../../src/protocol/der.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
import { curveSpki, freshPoint, modulusOf, nodeSpki, rsaSpki, spkiOf } from '../fixtures/spki.ts'
import { makeKey } from '../support/certificates.ts'

const refusal = (spki: Uint8Array): string => {
  try {
    inspectPublicKey(spki)
    return 'accepted'
  } catch (error) {
    return isEverleafError(error, 'bad-input') ? error.message : `not bad-input: ${error}`
  }
}

const p256 = freshPoint('P-256')
const p384 = freshPoint('P-384')
const uncompressed = (x: Uint8Array, y: Uint8Array) => concat(Uint8Array.of(4), x, y)
const primeOfP256 = hex('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff')

describe('a public key is accepted when it is', () => {
  it.each(['rsa-2048', 'rsa-3072', 'ec-p256', 'ec-p384'] as const)('%s', (type) => {
    expect(inspectPublicKey(makeKey(type).spki)).toEqual({ type })
  })

  it('rsa-4096', () => {
    expect(inspectPublicKey(rsaSpki(modulusOf(4096)))).toEqual({ type: 'rsa-4096' })
  })

  it('any key of the curves that OpenSSL makes', () => {
    for (let count = 0; count < 50; count += 1) {
      expect(inspectPublicKey(makeKey('ec-p256').spki)).toEqual({ type: 'ec-p256' })
      expect(inspectPublicKey(makeKey('ec-p384').spki)).toEqual({ type: 'ec-p384' })
    }
  })
})

const explicitCurve = (): Uint8Array =>
  generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }).publicKey.export({
    format: 'der',
    type: 'spki',
  })

const wrong: Array<[string, Uint8Array, RegExp]> = [
  ['RSA-512', rsaSpki(modulusOf(512)), /RSA-512, which is weak; accepted: RSA of 2048, 3072 or 4096/],
  ['RSA-1024', rsaSpki(modulusOf(1024)), /RSA-1024, which is weak/],
  ['RSA-2047', rsaSpki(modulusOf(2047)), /RSA-2047/],
  ['RSA-2049', rsaSpki(modulusOf(2049)), /RSA-2049/],
  ['RSA-8192', rsaSpki(modulusOf(8192)), /RSA-8192/],
  ['RSA with exponent 3', rsaSpki(modulusOf(2048), 3), /exponent that is even or under 65537/],
  ['RSA with exponent 1', rsaSpki(modulusOf(2048), 1), /exponent/],
  ['RSA with exponent 65535', rsaSpki(modulusOf(2048), 65_535), /exponent/],
  ['RSA with an even exponent', rsaSpki(modulusOf(2048), 65_538), /exponent/],
  ['RSA with a huge exponent', rsaSpki(modulusOf(2048), modulusOf(1024)), /exponent of 1024 bits/],
  [
    'RSA with an even modulus',
    rsaSpki(modulusOf(2048).map((octet, index) => (index === 255 ? 2 : octet))),
    /even modulus/,
  ],
  [
    'RSA with a negative modulus',
    spkiOf(
      sequence(objectIdentifier(oid.rsaEncryption), nullValue()),
      sequence(integer(-(2n ** 2047n) + 1n), integer(65_537)),
    ),
    /negative/,
  ],
  ['RSA with a modulus of zero', rsaSpki(Uint8Array.of(0)), /even modulus/],
  [
    'RSA without its NULL',
    spkiOf(sequence(objectIdentifier(oid.rsaEncryption)), sequence(integer(modulusOf(2048)), integer(65_537))),
    /without the NULL/,
  ],
  [
    'RSA with a number too many',
    spkiOf(
      sequence(objectIdentifier(oid.rsaEncryption), nullValue()),
      sequence(integer(modulusOf(2048)), integer(65_537), integer(1)),
    ),
    /an element too many/,
  ],
  [
    'RSA with something after the key',
    spkiOf(
      sequence(objectIdentifier(oid.rsaEncryption), nullValue()),
      concat(sequence(integer(modulusOf(2048)), integer(65_537)), hex('0500')),
    ),
    /2 octets follow/,
  ],
  ['RSA-PSS', nodeSpki('rsa-pss'), /algorithm RSA-PSS/],
  ['DSA', nodeSpki('dsa'), /algorithm DSA/],
  ['Ed25519', nodeSpki('ed25519'), /algorithm Ed25519/],
  ['X25519', nodeSpki('x25519'), /algorithm X25519/],
  ['P-192', nodeSpki('prime192v1'), /curve P-192/],
  ['P-521', nodeSpki('P-521'), /curve P-521/],
  ['secp256k1', nodeSpki('secp256k1'), /curve secp256k1/],
  ['explicit curve parameters', explicitCurve(), /not named/],
  [
    'no curve parameters',
    spkiOf(sequence(objectIdentifier(oid.ecPublicKey)), uncompressed(p256.x, p256.y)),
    /not named/,
  ],
  [
    'a compressed point',
    curveSpki(oid.prime256v1, concat(Uint8Array.of(2 + ((p256.y[31] ?? 0) & 1)), p256.x)),
    /begins with [23], expected the uncompressed form/,
  ],
  [
    'a hybrid point',
    curveSpki(oid.prime256v1, concat(Uint8Array.of(6 + ((p256.y[31] ?? 0) & 1)), p256.x, p256.y)),
    /begins with [67]/,
  ],
  ['the point at infinity', curveSpki(oid.prime256v1, Uint8Array.of(0)), /1 octets that begins with 0/],
  ['no point', curveSpki(oid.prime256v1, new Uint8Array(0)), /begins with nothing/],
  ['a point off the curve', curveSpki(oid.prime256v1, uncompressed(p256.x, p256.x)), /not on the curve/],
  ['a P-384 point off the curve', curveSpki(oid.secp384r1, uncompressed(p384.y, p384.x)), /not on the curve/],
  ['a point of the other curve', curveSpki(oid.prime256v1, uncompressed(p384.x, p384.y)), /97 octets/],
  [
    'coordinates of zero',
    curveSpki(oid.prime256v1, uncompressed(new Uint8Array(32), new Uint8Array(32))),
    /not on the curve/,
  ],
  ['an unknown algorithm', spkiOf(sequence(objectIdentifier('1.2.3.4')), hex('00')), /algorithm 1\.2\.3\.4/],
  [
    'a parameter too many',
    spkiOf(
      sequence(objectIdentifier(oid.ecPublicKey), objectIdentifier(oid.prime256v1), nullValue()),
      uncompressed(p256.x, p256.y),
    ),
    /an element too many/,
  ],
  ['trailing octets', concat(makeKey().spki, hex('00')), /1 octets follow/],
  ['no DER', hex('ffffff'), /public key: DER at 0/],
  ['nothing', hex(''), /ends inside a header/],
]

describe('a public key is refused when it is', () => {
  it.each(wrong)('%s', (_, spki, problem) => {
    expect(refusal(spki)).toMatch(problem)
  })

  it('one that OpenSSL would take, for a good part of them', () => {
    const taken = wrong.filter(([, spki]) => {
      try {
        return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).type === 'public'
      } catch {
        return false
      }
    })
    expect(taken.map(([name]) => name)).toEqual(
      expect.arrayContaining(['RSA-512', 'RSA with exponent 3', 'explicit curve parameters', 'a compressed point']),
    )
  })

  it('a second spelling of a point, x and the prime added', () => {
    // x = 0 is on the curve with y² = b; x = p is the same point for whoever reduces first.
    const y = hex('66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4')
    expect(refusal(curveSpki(oid.prime256v1, uncompressed(new Uint8Array(32), y)))).toBe('accepted')
    expect(refusal(curveSpki(oid.prime256v1, uncompressed(primeOfP256, y)))).toMatch(/not on the curve/)
  })

  it('damaged anywhere: it is refused or another key, and no other error comes', () => {
    const original = makeKey().spki
    fc.assert(
      fc.property(mutationsOf(original), (spki) => {
        try {
          inspectPublicKey(spki)
        } catch (error) {
          if (!(error instanceof EverleafError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a key is described', () => {
  it.each([
    ['RSA-1024', rsaSpki(modulusOf(1024))],
    ['RSA-2048', rsaSpki(modulusOf(2048), 3)],
    ['RSA-16384', rsaSpki(modulusOf(16_384))],
    ['RSA-0', rsaSpki(Uint8Array.of(0))],
    ['P-256', makeKey().spki],
    ['P-384', makeKey('ec-p384').spki],
    ['P-521', nodeSpki('P-521')],
    ['elliptic curve 1.2.3', curveSpki('1.2.3', hex('00'))],
    ['Ed25519', nodeSpki('ed25519')],
    ['unknown algorithm 1.2.3.4', spkiOf(sequence(objectIdentifier('1.2.3.4')), hex('00'))],
  ])('as %s', (description, spki) => {
    expect(describeKey(spki)).toBe(description)
  })

  it('without ever failing', () => {
    expect(describeKey(explicitCurve())).toMatch(/^unreadable key/)
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array(), mutationsOf(makeKey().spki)),
        (bytes) => typeof describeKey(bytes) === 'string',
      ),
    )
  })
})

it('the bits of a key are those in its BIT STRING', () => {
  expect(keyBits(curveSpki(oid.prime256v1, uncompressed(p256.x, p256.y)))).toEqual(uncompressed(p256.x, p256.y))
  expect(() => keyBits(hex('3000'))).toThrow(EverleafError)
})
