import 'reflect-metadata'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes, webcrypto } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate, X509Crl } from '@peculiar/x509'
import { afterAll, describe, expect, test } from 'vitest'
import type { RevocationReason } from '../../src/model.ts'
import { serialFromBytes } from '../../src/pki/serial.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { makeAuthority, makeKey, makeLeaf } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'
import { day, makeCrl, thisUpdate } from './crl-builders.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-crl-'))
afterAll(() => rmSync(folder, { recursive: true }))

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const period = { notBefore: thisUpdate - 30 * day, notAfter: thisUpdate + 365 * day }
const root = makeAuthority({ name: 'Root', key: makeKey('ec-p384'), ...period })
const issuing = makeAuthority({ name: 'Issuing G1', parent: root, pathLength: 0, ...period })
const good = makeLeaf({ issuer: issuing, subject: 'good', ...period })
const bad = makeLeaf({ issuer: issuing, subject: 'bad', ...period })

const reasons: Array<[RevocationReason, string, string]> = [
  ['unspecified', '', 'unspecified'],
  ['keyCompromise', 'Key Compromise', 'keyCompromise'],
  ['cACompromise', 'CA Compromise', 'cACompromise'],
  ['affiliationChanged', 'Affiliation Changed', 'affiliationChanged'],
  ['superseded', 'Superseded', 'superseded'],
  ['cessationOfOperation', 'Cessation Of Operation', 'cessationOfOperation'],
  ['privilegeWithdrawn', 'Privilege Withdrawn', 'privilegeWithdrawn'],
  ['aACompromise', 'AA Compromise', 'aACompromise'],
]
const entries = [
  ...reasons.map(([reason], index) => ({
    serial: serialFromBytes(randomBytes(16)),
    revokedAt: thisUpdate - (index + 1) * day,
    reason,
  })),
  { serial: bad.parsed.serial, revokedAt: thisUpdate - 1000, reason: 'superseded' as const },
]
const number = 0x7fee_ddcc_bbaa_0099_8877n
const crl = makeCrl(issuing, { entries, number })
const empty = makeCrl(root, { number: 1n })

describe.runIf(requireTool('openssl'))('openssl', () => {
  const cas = file('cas.pem', root.pem + issuing.pem)
  const der = file('issuing.crl', crl.der)

  test.each([
    ['issuing', crl, issuing],
    ['root, empty', empty, root],
    ['RSA', ...rsaPair()],
  ])('verifies the signature: %s', (name, one, authority) => {
    const path = file(`${name}.crl`, one.der)
    const ca = file(`${name}.pem`, authority.pem)
    const { stderr, status } = spawnSync('openssl', [
      'crl',
      '-inform',
      'DER',
      '-in',
      path,
      '-CAfile',
      ca,
      '-noout',
      '-verify',
    ])
    expect(String(stderr)).toContain('verify OK')
    expect(status).toBe(0)
  })

  test('reads every field and entry', () => {
    const text = execFileSync('openssl', ['crl', '-inform', 'DER', '-in', der, '-noout', '-text']).toString()
    expect(text).toContain('Version 2 (0x1)')
    expect(text).toContain('Issuer: CN = Issuing G1')
    expect(text).toContain('Last Update: Jun  1 12:00:00 2026 GMT')
    expect(text).toContain('Next Update: Jun  8 12:00:00 2026 GMT')
    // In decimal or hexadecimal, by the version of OpenSSL.
    expect(BigInt(/CRL Number:\s+(\S+)/.exec(text)?.[1] ?? 0)).toBe(number)
    const keyIdentifier = Buffer.from(issuing.parsed.subjectKeyIdentifier ?? [])
      .toString('hex')
      .toUpperCase()
    expect(text.replaceAll(':', '')).toContain(keyIdentifier)
    const read = text.split('Serial Number: ').slice(1)
    expect(read.map((one) => one.slice(0, 32).toLowerCase())).toEqual(entries.map(({ serial }) => serial))
    for (const [index, [, words]] of reasons.entries()) {
      if (words === '') expect(read[index]).not.toContain('Reason')
      else expect(read[index]).toMatch(new RegExp(`CRL Reason Code: \\n\\s+${words}`))
    }
  })

  const verify = (leaf: string) =>
    spawnSync('openssl', [
      'verify',
      '-crl_check_all',
      '-x509_strict',
      ...['-attime', String(thisUpdate / 1000)],
      ...['-CAfile', cas],
      ...['-CRLfile', file('crls.pem', encodePem('X509 CRL', crl.der) + encodePem('X509 CRL', empty.der))],
      file('leaf.pem', leaf),
    ])

  test('accepts a certificate that is in none of the CRLs', () => {
    const { stdout, status } = verify(good.pem)
    expect(String(stdout)).toContain('OK')
    expect(status).toBe(0)
  })

  test('refuses a certificate that is in one', () => {
    const { stderr, status } = verify(bad.pem)
    expect(String(stderr)).toContain('error 23 at 0 depth lookup: certificate revoked')
    expect(status).toBe(2)
  })
})

function rsaPair() {
  const authority = makeAuthority({ name: 'RSA', key: makeKey('rsa-3072'), ...period })
  return [makeCrl(authority, { entries }), authority] as const
}

describe.runIf(requireTool('certtool'))('gnutls certtool', () => {
  const info = (name: string, der: Uint8Array): string =>
    execFileSync('certtool', ['--crl-info', '--inder', '--infile', file(name, der)]).toString()

  test('reads number, updates and entries', () => {
    const text = info('certtool.crl', crl.der)
    expect(text).toContain('Version: 2')
    expect(text).toContain('Issuer: CN=Issuing G1')
    expect(text).toContain('CRL Number (not critical): 7feeddccbbaa00998877')
    expect(text).toContain(`Revoked certificates (${entries.length}):`)
    for (const { serial } of entries) expect(text).toContain(`Serial Number (hex): ${serial}`)
  })

  test('reads an empty one', () => {
    expect(info('empty.crl', empty.der)).toContain('No revoked certificates.')
  })

  // It has no option for the time, so these are made around the real now.
  const now = Date.now()
  const today = { notBefore: now - day, notAfter: now + 365 * day }
  const signer = makeAuthority({ name: 'Signer', key: makeKey('ec-p384'), ...today })
  const fresh = makeCrl(signer, { entries, thisUpdate: now - 1000, nextUpdate: now + day })

  test.each([
    ['good', fresh.der, 'Verified. The certificate is trusted.'],
    ['changed', fresh.der.with(fresh.der.length - 5, (fresh.der.at(-5) ?? 0) ^ 1), 'Not verified.'],
  ])('tells a %s signature', (name, der, verdict) => {
    const { stdout } = spawnSync('certtool', [
      '--verify-crl',
      ...['--load-ca-certificate', file('signer.pem', signer.pem)],
      ...['--infile', file(`${name}.pem`, encodePem('X509 CRL', der))],
    ])
    expect(String(stdout)).toContain(`Verification output: ${verdict}`)
  })
})

describe('@peculiar/x509', () => {
  test('reads and verifies what we wrote', async () => {
    const read = new X509Crl(Buffer.from(crl.der))
    expect(read.version).toBe(1)
    expect(read.issuer).toBe('CN=Issuing G1')
    expect(read.thisUpdate.getTime()).toBe(crl.thisUpdate)
    expect(read.nextUpdate?.getTime()).toBe(crl.nextUpdate)
    expect(read.entries.map((one) => one.serialNumber)).toEqual(entries.map(({ serial }) => serial))
    expect(read.entries.map((one) => one.revocationDate.getTime())).toEqual(entries.map(({ revokedAt }) => revokedAt))
    const publicKey = await new X509Certificate(Buffer.from(issuing.der)).publicKey.export(webcrypto)
    expect(await read.verify({ publicKey }, webcrypto)).toBe(true)
  })

  test('reads an empty CRL', () => {
    expect(new X509Crl(Buffer.from(empty.der)).entries).toHaveLength(0)
  })
})
