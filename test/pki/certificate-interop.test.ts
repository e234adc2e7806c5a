import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import * as peculiar from '@peculiar/x509'
import { describe, expect, it } from 'vitest'
import type { KeyType } from '../../src/model.ts'
import { keyIdentifier, parseCertificate } from '../../src/pki/certificate.ts'
import { verifySignature } from '../../src/pki/signature.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { decodePem } from '../../src/protocol/pem.ts'
import { runOn } from '../fixtures/program.ts'
import { makeAuthority, makeKey, makeLeaf } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'

const notBefore = Date.parse('2020-01-01T00:00:00Z')
const notAfter = Date.parse('2049-06-30T12:00:00Z')
const subjectKeys = (['rsa-2048', 'rsa-3072', 'rsa-4096', 'ec-p256', 'ec-p384'] as const).map(makeKey)
const issuerTypes: KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048']

const chains = issuerTypes.map((type) => {
  const root = makeAuthority({
    name: `Root ${type}`,
    key: makeKey(type),
    notBefore,
    notAfter: Date.parse('2120-01-01T00:00:00Z'),
    pathLength: 1,
  })
  const issuing = makeAuthority({
    name: 'Issuing',
    attributes: [['O', 'Exämple']],
    key: makeKey(type),
    parent: root,
    notBefore,
    notAfter,
    pathLength: 0,
  })
  return { type, root, issuing }
})

const cases = chains.flatMap(({ type, root, issuing }) =>
  subjectKeys.map((key) => ({
    name: `${key.type} under ${type}`,
    key,
    root,
    issuing,
    leaf: makeLeaf({
      issuer: issuing,
      subject: 'device-1',
      attributes: [
        ['C', 'CH'],
        ['O', 'Exämple, Inc.'],
      ],
      san: { dns: ['device-1.example'], uri: ['spiffe://example/device/1'], ip: ['10.0.0.1', '2001:db8::1'] },
      key,
      notBefore,
      notAfter,
      eku: ['clientAuth', 'serverAuth'],
      extensions: {
        crlDistributionPoint: 'http://pki.example/crl/issuing/0.crl',
        caIssuers: 'http://pki.example/ca/issuing.cer',
      },
    }),
  })),
)

describe.each(cases)('a certificate of $name', ({ key, root, issuing, leaf }) => {
  const files = {
    'root.pem': root.pem,
    'issuing.pem': issuing.pem,
    'leaf.pem': leaf.pem,
    'chain.pem': leaf.pem + issuing.pem + root.pem,
  }

  it.skipIf(!requireTool('openssl'))('is verified by OpenSSL, strictly', () => {
    const args = [
      '-x509_strict',
      '-purpose',
      'sslclient',
      '-CAfile',
      'root.pem',
      '-untrusted',
      'issuing.pem',
      'leaf.pem',
    ]
    const { stdout, stderr } = runOn(files, ['openssl', 'verify', ...args])
    expect(stderr + stdout).toBe('leaf.pem: OK\n')
  })

  it.skipIf(!requireTool('certtool'))('is verified by GnuTLS', () => {
    const args = [
      '--verify',
      '--load-ca-certificate',
      'root.pem',
      '--verify-purpose',
      '1.3.6.1.5.5.7.3.2',
      '--infile',
      'chain.pem',
    ]
    const { status, stdout } = runOn(files, ['certtool', ...args])
    expect(stdout).toContain('Chain verification output: Verified. The certificate is trusted.')
    expect(status).toBe(0)
  })

  it('is read by Node as it was written', () => {
    const read = new X509Certificate(leaf.der)
    expect(read.serialNumber.toLowerCase()).toBe(leaf.parsed.serial)
    expect(read.subject).toBe('C=CH\nO=Exämple\\, Inc.\nCN=device-1')
    expect(Date.parse(read.validFrom)).toBe(notBefore)
    expect(Date.parse(read.validTo)).toBe(notAfter)
    expect(read.subjectAltName).toBe(
      'DNS:device-1.example, URI:spiffe://example/device/1, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1',
    )
    expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'])
    expect(read.ca).toBe(false)
    expect(read.checkPrivateKey(leaf.privateKey)).toBe(true)
    expect(read.checkIssued(new X509Certificate(issuing.der))).toBe(true)
    expect(read.infoAccess).toBe('CA Issuers - URI:http://pki.example/ca/issuing.cer')
  })

  it('is verified and read by @peculiar/x509', async () => {
    const read = new peculiar.X509Certificate(leaf.der)
    const publicKey = new peculiar.X509Certificate(issuing.der).publicKey
    expect(await read.verify({ publicKey, signatureOnly: true })).toBe(true)
    expect(
      await read.verify({ publicKey: new peculiar.X509Certificate(root.der).publicKey, signatureOnly: true }),
    ).toBe(false)
    expect(read.serialNumber).toBe(leaf.parsed.serial)
    expect(read.subject).toBe('C=CH, O=Exämple\\, Inc., CN=device-1')
    expect(read.notAfter.getTime()).toBe(notAfter)
    const keyId = toHex(keyIdentifier(key.spki))
    expect(read.getExtension(peculiar.SubjectKeyIdentifierExtension)?.keyId).toBe(keyId)
    expect(read.getExtension(peculiar.AuthorityKeyIdentifierExtension)?.keyId).toBe(
      toHex(keyIdentifier(issuing.key.spki)),
    )
    expect(read.getExtension(peculiar.BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true })
    const digitalSignature = peculiar.KeyUsageFlags.digitalSignature
    const usages = key.type.startsWith('rsa')
      ? digitalSignature | peculiar.KeyUsageFlags.keyEncipherment
      : digitalSignature
    expect(read.getExtension(peculiar.KeyUsagesExtension)).toMatchObject({ usages, critical: true })
    expect(read.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: 'dns', value: 'device-1.example' },
      { type: 'url', value: 'spiffe://example/device/1' },
      { type: 'ip', value: '10.0.0.1' },
      { type: 'ip', value: '2001:db8::1' },
    ])
    expect(read.getExtension(peculiar.CRLDistributionPointsExtension)).not.toBe(null)
  })

  it('is verified by us', () => {
    const { tbs: data, signature, signatureAlgorithm: algorithm } = leaf.parsed
    if (algorithm === null) throw new Error('no algorithm')
    expect(verifySignature({ spki: issuing.parsed.spki, algorithm, data, signature })).toBe(true)
    expect(verifySignature({ spki: root.parsed.spki, algorithm, data, signature })).toBe(false)
  })
})

describe('an authority of ours', () => {
  it.each(chains)('of $type is read by @peculiar/x509', ({ root, issuing }) => {
    for (const [authority, pathLength] of [
      [root, 1],
      [issuing, 0],
    ] as const) {
      const read = new peculiar.X509Certificate(authority.der)
      expect(read.getExtension(peculiar.BasicConstraintsExtension)).toMatchObject({
        ca: true,
        pathLength,
        critical: true,
      })
      const usages = peculiar.KeyUsageFlags.keyCertSign | peculiar.KeyUsageFlags.cRLSign
      expect(read.getExtension(peculiar.KeyUsagesExtension)).toMatchObject({ usages, critical: true })
    }
    expect(new peculiar.X509Certificate(root.der).notAfter.getUTCFullYear()).toBe(2120)
  })
})

describe('every root that Node ships', () => {
  const roots = rootCertificates.map((pem) => ({
    pem,
    der: decodePem(pem, 'CERTIFICATE', { maximum: 1 })[0] ?? new Uint8Array(),
  }))

  it('is read as Node reads it', () => {
    expect(roots.length).toBeGreaterThan(50)
    for (const { pem, der } of roots) {
      const read = new X509Certificate(pem)
      const parsed = parseCertificate(der)
      expect(parsed.fingerprint).toBe(read.fingerprint256.replaceAll(':', '').toLowerCase())
      expect(parsed.serial.replace(/^00$/, '0')).toBe(read.serialNumber.toLowerCase())
      expect(parsed.notBefore).toBe(Date.parse(read.validFrom))
      expect(parsed.notAfter).toBe(Date.parse(read.validTo))
      expect(parsed.authority !== null).toBe(read.ca)
      expect(parsed.unknownCritical).toEqual([])
    }
  })

  it('verifies itself, where its algorithm is one that we take', () => {
    for (const { der } of roots) {
      const { spki, tbs: data, signature, signatureAlgorithm: algorithm } = parseCertificate(der)
      if (algorithm !== null) expect(verifySignature({ spki, algorithm, data, signature })).toBe(true)
    }
  })
})
