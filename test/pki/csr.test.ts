import { describe, expect, it } from 'vitest'
import { parseCsr } from '../../src/pki/csr.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import { contextPrimitive, integer, nullValue, sequence } from '../../src/protocol/der.ts'
import { emptyName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import { decodePem } from '../../src/protocol/pem.ts'
import { hex } from '../fixtures/bytes.ts'
import { runOn } from '../fixtures/program.ts'
import type { RawCsr } from '../fixtures/raw-csr.ts'
import { attribute, extensionRequest, rawCsr, sanExtension, sanOf } from '../fixtures/raw-csr.ts'
import { makeCsr, makeKey } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'

const key = makeKey()
const rsa = makeKey('rsa-2048')
const csr = (parts: Partial<RawCsr> = {}) => rawCsr({ ...key, algorithm: 'ecdsa-sha256', ...parts })

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
    expect(parseCsr(csr({ attributes: [extensionRequest(...extensions)] })).san?.der).toEqual(sanOf('a.example'))
  })

  it('whose SAN stands in the second of two requests, or in the one of Microsoft', () => {
    const first = extensionRequest(encodeExtension(oid.keyUsage, true, hex('03020780')))
    const second = extensionRequest(sanExtension('hidden.example'))
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
    expect(parseCsr(csr({ attributes: [extensionRequest(extension)] })).san?.names).toMatchObject({
      dns: ['a'],
      others: 1,
    })
  })

  it('with attributes that mean nothing to us, several values among them', () => {
    expect(parseCsr(csr({ attributes: [attribute('1.2.3', nullValue(), integer(1))] })).san).toBe(null)
  })

  it('without the attributes field', () => {
    expect(parseCsr(csr({ attributes: null })).san).toBe(null)
  })
})
