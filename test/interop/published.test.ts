import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import 'reflect-metadata'
import { PemConverter, X509Certificate, X509Crl, X509CrlReason } from '@peculiar/x509'
import { type AuthorityView, type Server, startServer, until } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { enrolDevice, type HeldIdentity } from './device.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

const tools = [requireTool('curl'), requireTool('openssl'), requireTool('certtool')]

describe.skipIf(tools.includes(false))('what a running server publishes', () => {
  let server: Server
  let workshop: Workshop
  let good: HeldIdentity
  let revoked: HeldIdentity
  beforeAll(async () => {
    server = await startServer()
    workshop = await openWorkshop()
    good = await enrolDevice(server, 'good-1')
    revoked = await enrolDevice(server, 'revoked-1')
    const { serialNumber } = new X509Certificate(revoked.cert)
    await server.admin(`certificates/${server.issuing.id}/${serialNumber}/revoke`, { reason: 'keyCompromise' })
    await until('the revocation is published', async () => {
      const { crls } = await server.admin<{ crls: Array<{ entries: number }> }>('crls')
      return crls.some(({ entries }) => entries === 1)
    })
  })
  afterAll(async () => {
    await server?.stop()
    await workshop?.close()
  })

  const crlUrl = ({ id }: AuthorityView) => `${server.publicUrl}/crl/${id}/0.crl`
  const fetched = async (name: string, url: string): Promise<string> => {
    await workshop.run('curl', '-sSf', '-o', workshop.path(name), url)
    return workshop.path(name)
  }
  const both = () => [server.issuing, server.root]
  const serialOf = ({ cert }: HeldIdentity) => new X509Certificate(cert).serialNumber

  describe('as CRL', () => {
    it('verifies under its CA by OpenSSL, with number, key identifier and reason', async () => {
      for (const authority of both()) {
        const file = await fetched(`${authority.id}.crl`, crlUrl(authority))
        const ca = await workshop.write(`${authority.id}.pem`, authority.pem)
        const read = ['crl', '-inform', 'DER', '-in', file, '-noout']
        expect((await workshop.attempt('openssl', ...read, '-CAfile', ca)).err).toContain('verify OK')
        const text = await workshop.openssl(...read, '-text')
        expect(text).toMatch(/Version 2 \(0x1\)/)
        expect(text).toMatch(/X509v3 CRL Number:\s+(?:0x[0-9A-F]+|\d+)/)
        expect(text).toContain('X509v3 Authority Key Identifier')
        if (authority.issues)
          expect(text).toMatch(new RegExp(`Serial Number: ${serialOf(revoked)}[\\s\\S]*Key Compromise`, 'i'))
        else expect(text).toContain('No Revoked Certificates')
      }
    })

    it('verifies under its CA by GnuTLS, which reads the same of it', async () => {
      for (const authority of both()) {
        const file = await fetched(`${authority.id}.crl`, crlUrl(authority))
        const ca = await fetched(`${authority.id}.cer`, `${server.publicUrl}/ca/${authority.id}.cer`)
        const options = ['--inder', '--infile', file]
        const info = await workshop.run('certtool', '--crl-info', ...options)
        expect(info).toMatch(/Version: 2/)
        expect(info).toMatch(/CRL Number \(not critical\): [0-9a-f]+/)
        expect(info).toMatch(authority.issues ? /Revoked certificates \(1\)/ : /No revoked certificates/)
        const verified = await workshop.run('certtool', '--verify-crl', '--load-ca-certificate', ca, ...options)
        expect(verified).toMatch(/Verification output: Verified/)
      }
    })

    it('verifies by @peculiar/x509, which finds the one entry', async () => {
      for (const authority of both()) {
        const crl = new X509Crl(await readFile(await fetched(`${authority.id}.crl`, crlUrl(authority))))
        expect(await crl.verify({ publicKey: new X509Certificate(authority.pem) })).toBe(true)
        const entry = crl.findRevoked(serialOf(revoked))
        expect(entry?.reason).toBe(authority.issues ? X509CrlReason.keyCompromise : undefined)
        expect(crl.findRevoked(serialOf(good))).toBeNull()
        expect(crl.nextUpdate?.getTime()).toBeGreaterThan(Date.now())
      }
    })

    it('is found by OpenSSL through the distribution points in the certificates, for every certificate of the chain', async () => {
      const verify = async (name: string, { cert }: HeldIdentity, ...checks: string[]) => {
        const trust = ['-x509_strict', '-CAfile', server.files.root, '-untrusted', server.files.issuing]
        const file = await workshop.write(`${name}.pem`, cert)
        return workshop.attempt('openssl', 'verify', ...trust, '-crl_download', ...checks, file)
      }
      expect(await verify('good', good, '-crl_check')).toMatchObject({ code: 0 })
      expect(await verify('revoked', revoked, '-crl_check')).toMatchObject({
        code: 2,
        err: expect.stringContaining('certificate revoked'),
      })
      const issuing = await workshop.openssl(
        'x509',
        '-in',
        server.files.issuing,
        '-noout',
        '-ext',
        'crlDistributionPoints',
      )
      expect(issuing).toContain(`URI:${crlUrl(server.root)}`)
      const trust = ['-CAfile', server.files.root, '-crl_download', '-crl_check']
      expect(await workshop.openssl('verify', ...trust, server.files.issuing)).toContain(': OK')
    })
  })

  describe('over plain HTTP', () => {
    const ask = async (url: string, ...options: string[]) => {
      const out = ['-o', workshop.path('body'), '-w', '%{http_code} %{size_download} %{content_type}']
      return workshop.run('curl', '-sS', ...out, '-D', workshop.path('head'), ...options, url)
    }
    const header = async (name: string) =>
      new RegExp(`^${name}: (.*)\\r$`, 'm').exec(await workshop.read('head'))?.[1] ?? ''

    it('a CRL is fetched once and then only asked for, by ETag and by date', async () => {
      const url = crlUrl(server.issuing)
      expect(await ask(url)).toMatch(/^200 [1-9]\d* application\/pkix-crl$/)
      const [etag, modified] = [await header('ETag'), await header('Last-Modified')]
      expect(await header('Cache-Control')).toMatch(/^public, max-age=\d+$/)
      expect(await ask(url, '-H', `If-None-Match: ${etag}`)).toMatch(/^304 0/)
      expect(await ask(url, '-H', 'If-None-Match: "another"')).toMatch(/^200 /)
      expect(await ask(url, '-H', `If-Modified-Since: ${modified}`)).toMatch(/^304 0/)
      const earlier = new Date(Date.parse(modified) - 1_000).toUTCString()
      expect(await ask(url, '-H', `If-Modified-Since: ${earlier}`)).toMatch(/^200 /)
      await server.admin(`crls/${server.issuing.id}/publish`, { force: true })
      expect(await ask(url, '-H', `If-None-Match: ${etag}`)).toMatch(/^200 /)
      expect(await header('ETag')).not.toBe(etag)
    })

    it('the CA certificates are where the certificates say that they are', async () => {
      const leaf = await workshop.write('aia.pem', good.cert)
      const access = await workshop.openssl('x509', '-in', leaf, '-noout', '-ext', 'authorityInfoAccess')
      const url = /CA Issuers - URI:(\S+)/.exec(access)?.[1] ?? ''
      expect(await ask(url)).toMatch(/^200 [1-9]\d* application\/pkix-cert$/)
      const issuer = await workshop.openssl('x509', '-inform', 'DER', '-in', workshop.path('body'))
      expect(issuer).toBe(server.pem.issuing)
      const next = await workshop.openssl('x509', '-in', server.files.issuing, '-noout', '-ext', 'authorityInfoAccess')
      expect(await ask(/CA Issuers - URI:(\S+)/.exec(next)?.[1] ?? '')).toMatch(/^200 /)
      expect(await workshop.openssl('x509', '-inform', 'DER', '-in', workshop.path('body'))).toBe(server.pem.root)
    })

    it('nothing else is there', async () => {
      for (const path of ['/', '/crl/issuing-g1/1.crl', '/crl/../everleaf.db', '/ca/nobody.cer', '/admin-token'])
        expect(await ask(`${server.publicUrl}${path}`, '--path-as-is')).toMatch(/^404 /)
    })
  })

  describe('as truststore', () => {
    const truststore = () => readFile(join(server.directory, 'published', 'truststore', 'truststore.pem'), 'utf8')

    it('is what devices and operators are given, in the form that every gateway takes', async () => {
      const pem = await truststore()
      expect((await server.admin<{ pem: string }>('truststore')).pem).toBe(pem)
      expect(pem).not.toMatch(/\r|\n\n|^#.*-/m)
      expect(pem).toMatch(/^(?:#[^\n]*\n|[A-Za-z0-9+/=]{1,64}\n|-----(?:BEGIN|END) CERTIFICATE-----\n)+$/)
    })

    it('is read by OpenSSL, GnuTLS and @peculiar/x509, each finding root and issuing CA', async () => {
      const file = await workshop.write('truststore.pem', await truststore())
      const stored = await workshop.openssl('storeutl', '-noout', '-text', '-certs', file)
      expect(stored).toContain('Total found: 2')
      const listed = await workshop.run('certtool', '--certificate-info', '--infile', file)
      expect(listed.match(/^\s*Subject: .*$/gm)).toHaveLength(2)
      const subjects = PemConverter.decode(await truststore()).map((der) => new X509Certificate(der).subject)
      expect(new Set(subjects)).toEqual(new Set(both().map(({ subject }) => subject)))
    })

    it('makes OpenSSL and GnuTLS trust a device by it', async () => {
      const file = await workshop.write('truststore.pem', await truststore())
      const leaf = await workshop.write('trusted.pem', good.cert)
      expect(
        await workshop.openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', file, leaf),
      ).toContain('OK')
      const options = ['--load-ca-certificate', file, '--infile', leaf]
      expect(await workshop.run('certtool', '--verify', ...options)).toMatch(/Chain verification output: Verified/)
    })
  })
})
