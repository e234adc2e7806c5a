import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isStrictEcdsaValue } from '../../src/pki/ecdsa-value.ts'
import type { SignatureAlgorithm } from '../../src/pki/signature.ts'
import {
  algorithmForKey,
  algorithmIdentifier,
  assembleSigned,
  describeAlgorithm,
  readAlgorithm,
  verifySignature,
} from '../../src/pki/signature.ts'
import {
  concat,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  readDer,
  readIntegerBytes,
  sequence,
} from '../../src/protocol/der.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
import { rawAlgorithms, signatureOfDigestInfo } from '../fixtures/raw-csr.ts'
import { curveSpki, modulusOf, nodeSpki, rsaSpki } from '../fixtures/spki.ts'
import { makeKey, signWith } from '../support/certificates.ts'

const data = new TextEncoder().encode('to be signed')
const keys = { rsa: makeKey('rsa-2048'), p256: makeKey('ec-p256'), p384: makeKey('ec-p384') }
const algorithms: SignatureAlgorithm[] = ['ecdsa-sha256', 'ecdsa-sha384', 'rsa-sha256', 'rsa-sha384', 'rsa-sha512']
const keysFor = (algorithm: SignatureAlgorithm) => (algorithm.startsWith('rsa') ? [keys.rsa] : [keys.p256, keys.p384])

describe.each(algorithms)('%s', (algorithm) => {
  it.each(keysFor(algorithm))('verifies what $type signed and nothing else', ({ privateKey, spki }) => {
    const signature = signWith(privateKey, algorithm, data)
    expect(verifySignature({ spki, algorithm, data, signature })).toBe(true)
    expect(verifySignature({ spki, algorithm, data: concat(data, hex('00')), signature })).toBe(false)
    for (const other of algorithms.filter((candidate) => candidate !== algorithm)) {
      expect(verifySignature({ spki, algorithm: other, data, signature })).toBe(false)
    }
    for (const other of Object.values(keys).filter((key) => key.spki !== spki)) {
      expect(verifySignature({ spki: other.spki, algorithm, data, signature })).toBe(false)
    }
  })

  it('has an identifier that is read back', () => {
    const encoded = algorithmIdentifier(algorithm)
    expect(readAlgorithm(readDer(encoded))).toBe(algorithm)
    expect(toHex(encoded.subarray(-2)) === '0500').toBe(algorithm.startsWith('rsa'))
  })
})

describe('an ECDSA signature', () => {
  const { spki, privateKey } = keys.p256
  const isValid = (signature: Uint8Array) => verifySignature({ spki, algorithm: 'ecdsa-sha256', data, signature })
  const good = signWith(privateKey, 'ecdsa-sha256', data)
  const [r = new Uint8Array(), s = new Uint8Array()] = readDer(good).children.map((child) => readIntegerBytes(child))
  const raw = (content: Uint8Array) => concat(Uint8Array.of(2, content.length), content)
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const big = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`)

  it('is taken as it was made, also with n - s in place of s', () => {
    expect(isStrictEcdsaValue(good, 32)).toBe(true)
    expect(isStrictEcdsaValue(good, 16)).toBe(false)
    expect(isValid(good)).toBe(true)
    expect(isValid(sequence(integer(r), integer(order - big(s))))).toBe(true)
  })

  it.each([
    ['a needless zero before r', sequence(raw(concat(hex('00'), r)), integer(s))],
    ['a needless zero before s', sequence(integer(r), raw(concat(hex('00'), s)))],
    ['trailing octets', concat(good, hex('00'))],
    ['a third number', sequence(integer(r), integer(s), integer(1))],
    ['a long length', concat(hex('3081'), good.subarray(1))],
    ['r of zero', sequence(integer(0), integer(s))],
    ['s of zero', sequence(integer(r), integer(0))],
    ['s over the order', sequence(integer(r), integer(big(s) + order))],
    ['negative r', sequence(integer(-1), integer(s))],
    ['numbers as octet strings', sequence(octetString(r), octetString(s))],
    ['r and s side by side', concat(r.subarray(-32), s.subarray(-32))],
    ['nothing', new Uint8Array(0)],
    ['far too much', new Uint8Array(5000)],
  ])('is refused with %s', (_, signature) => {
    expect(isStrictEcdsaValue(signature, 32)).toBe(false)
    expect(isValid(signature)).toBe(false)
  })

  it('that was damaged is refused and never an error', () => {
    fc.assert(
      fc.property(mutationsOf(good), (signature) => {
        if (toHex(signature) !== toHex(good)) expect(isValid(signature)).toBe(false)
      }),
      { numRuns: 300 },
    )
  })
})

describe('an RSA signature', () => {
  const { spki, privateKey } = keys.rsa
  const isValid = (signature: Uint8Array) => verifySignature({ spki, algorithm: 'rsa-sha256', data, signature })
  const good = signWith(privateKey, 'rsa-sha256', data)
  const sha256 = objectIdentifier('2.16.840.1.101.3.4.2.1')

  it('is refused when it is longer or shorter than the modulus', () => {
    expect(isValid(good)).toBe(true)
    expect(isValid(concat(hex('00'), good))).toBe(false)
    expect(isValid(good.subarray(1))).toBe(false)
    expect(isValid(new Uint8Array(256))).toBe(false)
    expect(isValid(new Uint8Array(256).fill(0xff))).toBe(false)
  })

  it('is refused when its DigestInfo holds more than the digest', () => {
    const rightInfo = (digest: Uint8Array) => sequence(sequence(sha256, nullValue()), octetString(digest))
    const longInfo = (digest: Uint8Array) =>
      sequence(sequence(sha256, octetString(new Uint8Array(20))), octetString(digest))
    expect(isValid(signatureOfDigestInfo(privateKey, rightInfo, data))).toBe(true)
    expect(isValid(signatureOfDigestInfo(privateKey, longInfo, data))).toBe(false)
  })
})

describe('a key that may not verify', () => {
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
  const k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const spkiOf = (key: typeof weak.publicKey) => key.export({ format: 'der', type: 'spki' })

  it.each([
    ['RSA-1024', spkiOf(weak.publicKey), 'rsa-sha256' as const, sign('sha256', data, weak.privateKey)],
    ['secp256k1', spkiOf(k1.publicKey), 'ecdsa-sha256' as const, sign('sha256', data, k1.privateKey)],
    [
      'a point off the curve',
      curveSpki(oid.prime256v1, concat(hex('04'), new Uint8Array(64).fill(7))),
      'ecdsa-sha256' as const,
      signWith(keys.p256.privateKey, 'ecdsa-sha256', data),
    ],
    [
      'an RSA modulus that is even',
      rsaSpki(modulusOf(2048).map((octet, index) => (index === 255 ? 0 : octet))),
      'rsa-sha256' as const,
      new Uint8Array(256).fill(1),
    ],
    ['Ed25519', nodeSpki('ed25519'), 'ecdsa-sha256' as const, new Uint8Array(64)],
    ['no key', hex('3000'), 'ecdsa-sha256' as const, new Uint8Array(64)],
  ])('is %s', (_, spki, algorithm, signature) => {
    expect(verifySignature({ spki, algorithm, data, signature })).toBe(false)
  })

  it('is not P-521, which partner authorities have', () => {
    expect(
      verifySignature({
        spki: spkiOf(p521.publicKey),
        algorithm: 'ecdsa-sha384',
        data,
        signature: sign('sha384', data, p521.privateKey),
      }),
    ).toBe(true)
  })
})

describe('an algorithm identifier', () => {
  it.each([
    ['RSA with SHA-1', sequence(objectIdentifier(rawAlgorithms['rsa-sha1'].identifier), nullValue())],
    ['RSA with MD5', sequence(objectIdentifier(rawAlgorithms['rsa-md5'].identifier), nullValue())],
    ['ECDSA with SHA-1', sequence(objectIdentifier(rawAlgorithms['ecdsa-sha1'].identifier))],
    ['ECDSA with SHA-512', sequence(objectIdentifier(rawAlgorithms['ecdsa-sha512'].identifier))],
    ['ecdsa-sha256 with wrong parameters', sequence(objectIdentifier(oid.ecdsaWithSHA256), nullValue())],
    ['rsa-sha256 with wrong parameters', sequence(objectIdentifier(oid.sha256WithRSAEncryption), integer(1))],
    ['rsa-sha256 with wrong parameters', sequence(objectIdentifier(oid.sha256WithRSAEncryption), octetString())],
    ['rsa-sha256 with wrong parameters', sequence(objectIdentifier(oid.sha256WithRSAEncryption), hex('050100'))],
    ['1.2.3', sequence(objectIdentifier('1.2.3'))],
  ])('of %s is not taken', (description, encoded) => {
    expect(readAlgorithm(readDer(encoded))).toBe(null)
    expect(describeAlgorithm(readDer(encoded))).toBe(description)
  })

  it('of RSA may lack its NULL, as RFC 4055 says', () => {
    expect(readAlgorithm(readDer(sequence(objectIdentifier(oid.sha256WithRSAEncryption))))).toBe('rsa-sha256')
  })

  it('with a parameter too many is refused', () => {
    const encoded = sequence(objectIdentifier(oid.sha256WithRSAEncryption), nullValue(), nullValue())
    expect(() => readAlgorithm(readDer(encoded))).toThrow(/element too many/)
  })
})

it('a key signs with the hash of its strength', () => {
  expect(algorithmForKey(keys.p256.spki)).toBe('ecdsa-sha256')
  expect(algorithmForKey(keys.p384.spki)).toBe('ecdsa-sha384')
  expect(algorithmForKey(keys.rsa.spki)).toBe('rsa-sha256')
  expect(() => algorithmForKey(nodeSpki('ed25519'))).toThrow(/signing key: Ed25519; expected RSA, P-256 or P-384/)
})

it('the signed form is what was signed, the algorithm and the signature', () => {
  const signed = readDer(assembleSigned(hex('3000'), 'ecdsa-sha256', hex('0102')))
  expect(signed.children.map((child) => toHex(child.bytes))).toEqual(['3000', '300a06082a8648ce3d040302', '0303000102'])
})
