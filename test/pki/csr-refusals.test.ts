import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import {
  concat,
  contextPrimitive,
  ia5String,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  set,
  utf8String,
} from '../../src/protocol/der.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
import type { RawCsr } from '../fixtures/raw-csr.ts'
import { attribute, extensionRequest, rawCsr, sanExtension } from '../fixtures/raw-csr.ts'
import { makeKey } from '../support/certificates.ts'

const key = makeKey()
const rsa = makeKey('rsa-2048')
const csr = (parts: Partial<RawCsr> = {}) => rawCsr({ ...key, algorithm: 'ecdsa-sha256', ...parts })

const odd = (options: { modulusLength?: number; publicExponent?: number; curve?: string; explicit?: boolean }) => {
  const pair =
    options.curve === undefined
      ? generateKeyPairSync('rsa', {
          modulusLength: options.modulusLength ?? 2048,
          publicExponent: options.publicExponent,
        })
      : generateKeyPairSync('ec', {
          namedCurve: options.curve,
          paramEncoding: options.explicit === true ? 'explicit' : 'named',
        })
  return { privateKey: pair.privateKey, spki: pair.publicKey.export({ format: 'der', type: 'spki' }) }
}

const good = csr()
const algorithmNames = { 'rsa-md5': 'RSA with MD5', 'rsa-sha1': 'RSA with SHA-1' } as const

describe('a CSR is refused', () => {
  it.each(['rsa-md5', 'rsa-sha1'] as const)('when it is signed by %s', (algorithm) => {
    expect(() => parseCsr(csr({ ...rsa, algorithm }))).toThrow(
      `CSR: signed by ${algorithmNames[algorithm]}; accepted: RSA with SHA-256`,
    )
  })

  it.each(['ecdsa-sha1', 'ecdsa-sha512'] as const)('when it is signed by %s', (algorithm) => {
    expect(() => parseCsr(csr({ algorithm }))).toThrow(/signed by ECDSA with SHA-(1|512); accepted/)
  })

  it.each([
    ['RSA-512', { ...odd({ modulusLength: 512 }), algorithm: 'rsa-sha256' as const }, /RSA-512, which is weak/],
    ['RSA-1024', { ...odd({ modulusLength: 1024 }), algorithm: 'rsa-sha256' as const }, /RSA-1024, which is weak/],
    ['RSA with e = 3', { ...odd({ publicExponent: 3 }), algorithm: 'rsa-sha256' as const }, /exponent/],
    ['P-192', odd({ curve: 'prime192v1' }), /curve P-192/],
    ['P-521', odd({ curve: 'P-521' }), /curve P-521/],
    ['secp256k1', odd({ curve: 'secp256k1' }), /curve secp256k1/],
    ['explicit parameters', odd({ curve: 'P-256', explicit: true }), /not named/],
  ])('when its key is %s', (_, parts, problem) => {
    expect(() => parseCsr(csr(parts))).toThrow(problem)
  })

  it.each([
    [
      'the signature is of another key',
      csr({ privateKey: makeKey().privateKey }),
      /signature is not one of the ec-p256 key in it/,
    ],
    ['the key is swapped for one of another kind', csr({ spki: rsa.spki }), /signature is not one of the rsa-2048 key/],
    [
      'the algorithm is of another kind',
      csr({
        algorithm: 'ecdsa-sha256',
        identifier: sequence(objectIdentifier(oid.sha256WithRSAEncryption), nullValue()),
      }),
      /rsa-sha256 signature is not one of the ec-p256 key/,
    ],
    [
      'ECDSA comes with NULL parameters',
      csr({ identifier: sequence(objectIdentifier(oid.ecdsaWithSHA256), nullValue()) }),
      /ecdsa-sha256 with wrong parameters/,
    ],
    ['the version is 1', csr({ version: 1 }), /version 1, expected 0/],
    ['something follows the attributes', csr({ tail: nullValue() }), /element too many/],
    ['it has trailing octets', concat(good, hex('00')), /1 octets follow/],
    ['it is cut off', good.subarray(0, -1), /claims/],
    ['its length is not the shortest', concat(hex('308200'), good.subarray(2)), /fewer would do/],
    ['it is empty', new Uint8Array(0), /ends inside a header/],
    ['it is text', new TextEncoder().encode('-----BEGIN CERTIFICATE REQUEST-----'), /CSR: /],
    [
      'it is over 64 KiB',
      csr({ attributes: [attribute('1.2.3', octetString(new Uint8Array(65_536)))] }),
      /65536 at most/,
    ],
    ['it is nested deeply', csr({ attributes: [attribute('1.2.3', nest(20))] }), /nested deeper/],
    [
      'the SAN comes in two requests',
      csr({ attributes: [extensionRequest(sanExtension('a')), extensionRequest(sanExtension('b'))] }),
      /requested twice, in two attributes/,
    ],
    [
      'the SAN comes twice in one',
      csr({ attributes: [extensionRequest(sanExtension('a'), sanExtension('a'))] }),
      /it is there twice/,
    ],
    [
      'the SAN comes in ours and in the one of Microsoft',
      csr({
        attributes: [
          extensionRequest(sanExtension('a')),
          attribute(oid.microsoftExtensionRequest, sequence(sanExtension('a'))),
        ],
      }),
      /requested twice/,
    ],
    [
      'a request has two values',
      csr({ attributes: [attribute(oid.extensionRequest, sequence(sanExtension('a')), sequence(sanExtension('b')))] }),
      /2 values, expected one/,
    ],
    ['a request has no value', csr({ attributes: [attribute(oid.extensionRequest)] }), /0 values, expected one/],
    [
      'a request is a SET',
      csr({ attributes: [attribute(oid.extensionRequest, set(sanExtension('a')))] }),
      /expected sequence, found set/,
    ],
    ['a request asks for nothing', csr({ attributes: [extensionRequest()] }), /Extensions: 0/],
    [
      'the SAN is empty',
      csr({ attributes: [extensionRequest(encodeExtension(oid.subjectAltName, false, sequence()))] }),
      /GeneralNames: empty/,
    ],
    [
      'the SAN is no GeneralNames',
      csr({ attributes: [extensionRequest(encodeExtension(oid.subjectAltName, false, hex('0500')))] }),
      /expected sequence/,
    ],
    [
      'the SAN has a NUL in it',
      csr({
        attributes: [
          extensionRequest(encodeExtension(oid.subjectAltName, false, sequence(contextPrimitive(2, hex('610062'))))),
        ],
      }),
      /visible ASCII/,
    ],
    [
      'it has two passwords',
      csr({
        attributes: [
          attribute(oid.challengePassword, utf8String('a')),
          attribute(oid.challengePassword, utf8String('b')),
        ],
      }),
      /it is there twice/,
    ],
    [
      'its password is a number',
      csr({ attributes: [attribute(oid.challengePassword, integer(1))] }),
      /expected a string/,
    ],
    [
      'its password is endless',
      csr({ attributes: [attribute(oid.challengePassword, ia5String('x'.repeat(2000)))] }),
      /1024 at most/,
    ],
    [
      'it has too many attributes',
      csr({ attributes: Array.from({ length: 33 }, (_, index) => attribute(`1.2.${index}`, nullValue())) }),
      /attributes: 33/,
    ],
    [
      'an attribute has no values',
      csr({ attributes: [sequence(objectIdentifier('1.2.3'))] }),
      /ends before attribute values/,
    ],
    ['its subject is no name', csr({ subject: sequence(printableString('device-1')) }), /expected set/],
    ['its subject is missing', csr({ subject: new Uint8Array(0) }), EverleafError],
  ])('when %s', (_, der, problem) => {
    expect(() => parseCsr(der)).toThrow(problem)
    expect(() => parseCsr(der)).toThrow(expect.objectContaining({ name: 'EverleafError', code: 'bad-input' }))
  })

  it('when any octet of it was changed', () => {
    const original = csr({
      subject: encodeName([
        ['O', 'Example'],
        ['CN', 'device-1'],
      ]),
      attributes: [extensionRequest(sanExtension('a.example'))],
    })
    fc.assert(
      fc.property(mutationsOf(original), (der) => {
        if (Buffer.from(der).equals(original)) return
        expect(() => parseCsr(der)).toThrow(expect.objectContaining({ code: 'bad-input' }))
      }),
      { numRuns: 2000 },
    )
  })

  it('when it is noise', () => {
    const headed = fc.uint8Array({ maxLength: 300 }).map((bytes) => sequence(bytes))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), headed), (der) => {
        expect(() => parseCsr(der)).toThrow(expect.objectContaining({ code: 'bad-input' }))
      }),
      { numRuns: 1000 },
    )
  })
})

function nest(levels: number): Uint8Array {
  let value = nullValue()
  for (let level = 0; level < levels; level += 1) value = sequence(value)
  return value
}
