import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { openLocalAuthorities } from '../../src/authority/local.ts'
import { systemClock } from '../../src/clock/system.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { crlOrderAt, orderAt } from '../contract/issuer.ts'
import { requireTool } from '../support/tools.ts'
import { clock, initialise, newFolder, openIn, passphrase } from './local-folder.ts'

const run = promisify(execFile)

describe.skipIf(!requireTool('openssl'))('openssl', () => {
  let directory: string
  const file = (name: string) => join(directory, name)
  beforeAll(async () => {
    directory = await newFolder()
    await initialise(directory)
    const { issuing, all } = await openIn(directory)
    const now = clock.now()
    const [good, bad] = [orderAt(now), orderAt(now)]
    await writeFile(file('good.pem'), encodePem('CERTIFICATE', (await issuing.issuer.issue(good)).der))
    await writeFile(file('bad.pem'), encodePem('CERTIFICATE', (await issuing.issuer.issue(bad)).der))
    const revoked = [{ serial: bad.serial, revokedAt: now, reason: 'keyCompromise' as const }]
    const crls = await Promise.all(
      all.map(({ id, crlSigner }) =>
        crlSigner?.signCrl(crlOrderAt(now, { entries: id === 'issuing-g1' ? revoked : [] })),
      ),
    )
    await writeFile(file('crls.pem'), crls.map((crl) => encodePem('X509 CRL', crl?.der ?? new Uint8Array())).join(''))
  })
  const verify = (leaf: string) =>
    run('openssl', [
      ...['verify', '-x509_strict', '-crl_check_all', '-purpose', 'sslclient'],
      ...['-attime', String(Math.floor(clock.now() / 1000) + 60), '-CRLfile', file('crls.pem')],
      ...['-CAfile', file('root-g1.certificate.pem'), '-untrusted', file('issuing-g1.certificate.pem'), file(leaf)],
    ])

  it('verifies what was issued, strictly and with every CRL of the chain', async () => {
    expect((await verify('good.pem')).stdout).toMatch(/good\.pem: OK/)
  })

  it('refuses what was revoked', async () => {
    await expect(verify('bad.pem')).rejects.toThrow(/certificate revoked/)
  })

  it('opens the keys with the passphrase and says how they are protected', async () => {
    const path = file('root-g1.key.pem')
    const { stdout } = await run('openssl', ['asn1parse', '-in', path])
    expect(stdout).toMatch(/PBES2[\s\S]*(scrypt|1\.3\.6\.1\.4\.1\.11591\.4\.11)[\s\S]*aes-256-cbc/)
    const key = await run('openssl', ['pkey', '-in', path, '-passin', `pass:${passphrase}`, '-noout', '-text'])
    expect(key.stdout).toContain('NIST CURVE: P-384')
    await expect(run('openssl', ['pkey', '-in', path, '-passin', 'pass:wrong', '-noout'])).rejects.toThrow()
  })
})

describe.skipIf(!requireTool('certtool'))('certtool of GnuTLS', () => {
  it('verifies what was issued up to the root, and the CRL of the issuing CA', async () => {
    const directory = await newFolder()
    const { root, issuing } = await initialise(directory, { clock: systemClock })
    const authorities = await openLocalAuthorities({ directory, passphrase, clock: systemClock })
    const now = systemClock.now()
    const { der: leaf } = await authorities.issuing.issuer.issue(orderAt(now))
    const crl = await authorities.issuing.crlSigner?.signCrl(crlOrderAt(now))
    const pem = (name: string, label: string, ...ders: Uint8Array[]) =>
      writeFile(join(directory, name), ders.map((der) => encodePem(label, der)).join(''))
    await pem('chain.pem', 'CERTIFICATE', leaf, issuing.der)
    await pem('crl.pem', 'X509 CRL', crl?.der ?? new Uint8Array())
    const certtool = (...rest: string[]) =>
      run(
        'certtool',
        rest.map((part) => part.replace(/^@/, `${directory}/`)),
      )
    const anchors = ['--load-ca-certificate', '@root-g1.certificate.pem']
    const verified = await certtool(
      '--verify',
      '--infile',
      '@chain.pem',
      ...anchors,
      '--verify-purpose',
      '1.3.6.1.5.5.7.3.2',
    )
    expect(verified.stdout).toMatch(/Chain verification output: Verified\. The certificate is trusted/)
    const checked = await certtool(
      '--verify-crl',
      '--infile',
      '@crl.pem',
      '--load-ca-certificate',
      '@issuing-g1.certificate.pem',
    )
    expect(checked.stdout).toMatch(/Verification output: Verified/)
    expect(root.subjectText).toBe('CN=Everleaf Root G1')
  })
})
