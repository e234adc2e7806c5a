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
  readDer,
  sequence,
  set,
  utf8String,
} from '../../src/protocol/der.ts'
import { encodeGeneralNames } from '../../src/protocol/general-names.ts'
import { emptyName, encodeName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import { decodePem } from '../../src/protocol/pem.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
import { runOn } from '../fixtures/program.ts'
import type { RawCsr } from '../fixtures/raw-csr.ts'
import { attribute, rawCsr } from '../fixtures/raw-csr.ts'
import { makeCsr, makeKey } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'

const key = makeKey()
const rsa = makeKey('rsa-2048')
const csr = (parts: Partial<RawCsr> = {}) => rawCsr({ ...key, algorithm: 'ecdsa-sha256', ...parts })

const sanOf = (dns: string) => encodeGeneralNames({ dns: [dns], uri: [], ip: [] })
const sanExtension = (dns: string) => encodeExtension(oid.subjectAltName, false, sanOf(dns))
const request = (...extensions: Uint8Array[]) => attribute(oid.extensionRequest, sequence(...extensions))

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

describe('a CSR of ours', () => {
  it.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const)(
    'of %s is read and proven',
    async (type) => {
      const { der, key: made } = await makeCsr({
        subject: 'device-1',
        attributes: [['O', 'Example']],
        san: { dns: ['a.example'], uri: ['spiffe://example/1'], ip: ['::1'] },
        challengePassword: 'dGxzLXVuaXF1ZQ==',
        key: makeKey(type),
      })
      const parsed = parseCsr(der)
      expect(parsed.keyType).toBe(type)
      expect(parsed.spki).toEqual(made.spki)
      expect(parsed.subjectText).toBe('CN=device-1,O=Example')
      expect(parsed.san?.names).toEqual({ dns: ['a.example'], uri: ['spiffe://example/1'], ip: ['::1'], others: 0 })
      expect(parsed.challengePassword).toBe('dGxzLXVuaXF1ZQ==')
    },
  )

  it('without any wish is read', async () => {
    const parsed = parseCsr((await makeCsr({ subject: 'device-1' })).der)
    expect(parsed.san).toBe(null)
    expect(parsed.challengePassword).toBe(null)
  })

  it('without a subject asks for its SAN as critical', async () => {
    const { der } = await makeCsr({ subject: '', san: { uri: ['urn:x'] } })
    expect(parseCsr(der).subject).toEqual(emptyName)
    expect(Buffer.from(der).includes(Buffer.from('0603551d110101ff', 'hex'))).toBe(true)
  })

  it.skipIf(!requireTool('openssl'))('is verified and read alike by OpenSSL', async () => {
    for (const type of ['ec-p256', 'ec-p384', 'rsa-2048'] as const) {
      const { pem } = await makeCsr({
        subject: 'Gerät 1',
        attributes: [['C', 'CH']],
        san: { dns: ['a.example'] },
        challengePassword: 'not printable @',
        key: makeKey(type),
      })
      const args = [
        'openssl',
        'req',
        '-in',
        'csr.pem',
        '-verify',
        '-noout',
        '-text',
        '-nameopt',
        'RFC2253,utf8,-esc_msb',
      ]
      const { status, stdout, stderr } = runOn({ 'csr.pem': pem }, args)
      expect(status).toBe(0)
      expect(stderr).toContain('verify OK')
      expect(stdout).toContain('Subject: CN=Gerät 1,C=CH')
      expect(stdout).toContain('DNS:a.example')
      expect(stdout).toContain('not printable @')
    }
  })

  it.skipIf(!requireTool('certtool'))('is verified by GnuTLS', async () => {
    for (const type of ['ec-p256', 'ec-p384', 'rsa-2048'] as const) {
      const { pem } = await makeCsr({ subject: 'device-1', san: { ip: ['10.0.0.1'] }, key: makeKey(type) })
      const { stdout } = runOn({ 'csr.pem': pem }, ['certtool', '--crq-info', '--infile', 'csr.pem'])
      expect(stdout).toContain('Self signature: verified')
      expect(stdout).toContain('IPAddress: 10.0.0.1')
    }
  })
})

describe('a CSR of another program is read', () => {
  it.skipIf(!requireTool('openssl'))('made by OpenSSL', () => {
    const args = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem']
    const wishes = [
      '-subj',
      '/C=CH/O=Example/CN=device-1',
      '-addext',
      'subjectAltName=DNS:a.example,IP:10.0.0.1',
      '-addext',
      'keyUsage=digitalSignature',
    ]
    const [der = new Uint8Array()] = decodePem(runOn({}, ['openssl', ...args, ...wishes]).stdout, 'CERTIFICATE REQUEST')
    const parsed = parseCsr(der)
    expect(parsed.subjectText).toBe('CN=device-1,O=Example,C=CH')
    expect(parsed.san?.names).toEqual({ dns: ['a.example'], uri: [], ip: ['10.0.0.1'], others: 0 })
  })

  it.skipIf(!requireTool('certtool'))('made by GnuTLS', () => {
    const template = 'cn = device-1\ndns_name = a.example\nchallenge_password = 123456\nsigning_key\n'
    const files = { 'key.pem': rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), template }
    const args = [
      'certtool',
      '--generate-request',
      '--load-privkey',
      'key.pem',
      '--template',
      'template',
      '--hash',
      'SHA256',
    ]
    const [der = new Uint8Array()] = decodePem(runOn(files, args).stdout, 'NEW CERTIFICATE REQUEST')
    const parsed = parseCsr(der)
    expect(parsed.subjectText).toBe('CN=device-1')
    expect(parsed.challengePassword).toBe('123456')
    expect(parsed.san?.names.dns).toEqual(['a.example'])
  })

  it.skipIf(!requireTool('pki'))('made by strongSwan', () => {
    // Debian's strongSwan comes without elliptic curves.
    const files = { 'key.pem': rsa.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString() }
    const args = [
      'pki',
      '--req',
      '--type',
      'rsa',
      '--in',
      'key.pem',
      '--dn',
      'CN=device-1',
      '--san',
      'a.example',
      '--password',
      'x',
      '--outform',
      'pem',
    ]
    const [der = new Uint8Array()] = decodePem(runOn(files, args).stdout, 'CERTIFICATE REQUEST')
    expect(parseCsr(der)).toMatchObject({ subjectText: 'CN=device-1', challengePassword: 'x', spki: rsa.spki })
  })

  it('that repeats every extension of a certificate, as libest does', () => {
    const extensions = [
      sanExtension('a.example'),
      encodeExtension(oid.keyUsage, true, hex('03020780')),
      encodeExtension(oid.authorityKeyIdentifier, false, sequence(contextPrimitive(0, hex('01')))),
      encodeExtension('1.2.3.4', true, hex('0500')),
    ]
    expect(parseCsr(csr({ attributes: [request(...extensions)] })).san?.der).toEqual(sanOf('a.example'))
  })

  it('whose SAN stands in the second of two requests, or in the one of Microsoft', () => {
    const first = request(encodeExtension(oid.keyUsage, true, hex('03020780')))
    const second = request(sanExtension('hidden.example'))
    const microsoft = attribute(oid.microsoftExtensionRequest, sequence(sanExtension('hidden.example')))
    for (const attributes of [[first, second], [first, microsoft], [microsoft]]) {
      expect(parseCsr(csr({ attributes })).san?.names.dns).toEqual(['hidden.example'])
    }
  })

  it('with names of kinds that have no list, which are counted', () => {
    const names = sequence(
      contextPrimitive(1, new TextEncoder().encode('a@b')),
      contextPrimitive(2, new TextEncoder().encode('a')),
    )
    const extension = encodeExtension(oid.subjectAltName, true, names)
    expect(parseCsr(csr({ attributes: [request(extension)] })).san?.names).toMatchObject({ dns: ['a'], others: 1 })
  })

  it('with attributes that mean nothing to us, several values among them', () => {
    expect(parseCsr(csr({ attributes: [attribute('1.2.3', nullValue(), integer(1))] })).san).toBe(null)
  })

  it('without the attributes field', () => {
    expect(parseCsr(csr({ attributes: null })).san).toBe(null)
  })
})

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
      csr({ attributes: [request(sanExtension('a')), request(sanExtension('b'))] }),
      /requested twice, in two attributes/,
    ],
    [
      'the SAN comes twice in one',
      csr({ attributes: [request(sanExtension('a'), sanExtension('a'))] }),
      /it is there twice/,
    ],
    [
      'the SAN comes in ours and in the one of Microsoft',
      csr({
        attributes: [request(sanExtension('a')), attribute(oid.microsoftExtensionRequest, sequence(sanExtension('a')))],
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
    ['a request asks for nothing', csr({ attributes: [request()] }), /Extensions: 0/],
    [
      'the SAN is empty',
      csr({ attributes: [request(encodeExtension(oid.subjectAltName, false, sequence()))] }),
      /GeneralNames: empty/,
    ],
    [
      'the SAN is no GeneralNames',
      csr({ attributes: [request(encodeExtension(oid.subjectAltName, false, hex('0500')))] }),
      /expected sequence/,
    ],
    [
      'the SAN has a NUL in it',
      csr({
        attributes: [request(encodeExtension(oid.subjectAltName, false, sequence(contextPrimitive(2, hex('610062')))))],
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
      attributes: [request(sanExtension('a.example'))],
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

it('a CSR that is good is the same bytes when written again', () => {
  expect(readDer(good).bytes).toEqual(good)
})
