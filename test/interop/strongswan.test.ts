import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64, encodeBase64Lines } from '../../src/protocol/base64.ts'
import { type Server, startServer } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { curlOf, est } from './curl.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

const tools = [requireTool('pki'), requireTool('openssl'), requireTool('curl')]

/** `pki` of strongSwan cannot write a URI into a request, so what it renews by itself has DNS names. */
const profiles = { device: {}, host: { san: { dns: ['{device}.devices.example.org'] } } }

describe.skipIf(tools.includes(false))('strongSwan as the EST client of a running server', () => {
  let server: Server
  let workshop: Workshop
  let version: number[]
  beforeAll(async () => {
    server = await startServer({ settings: { profiles } })
    workshop = await openWorkshop()
    const { out, err } = await workshop.attempt('pki', '--help')
    version = (/strongSwan (\d+)\.(\d+)\.(\d+)/.exec(out + err) ?? []).slice(1).map(Number)
  })
  afterAll(async () => {
    await server?.stop()
    await workshop?.close()
  })

  const pki = (...options: string[]) => workshop.attempt('pki', ...options)

  /** Plug-ins that this system does not have are told on stderr of every call. */
  const told = ({ err }: { err: string }) =>
    err
      .split('\n')
      .filter((line) => !line.includes('failed to load'))
      .join('\n')

  const prepare = async (name: string, device: string, ...more: string[]) => {
    const key = await pki('--gen', '--type', 'ecdsa', '--size', '256', '--outform', 'pem')
    const keyFile = await workshop.write(`${name}.key`, key.out)
    const named = ['--dn', `CN=${device}`, ...more]
    const request = await pki('--req', '--type', 'priv', '--in', keyFile, ...named, '--outform', 'pem')
    return { key: keyFile, request: await workshop.write(`${name}.csr`, request.out) }
  }

  const enrolment = (request: string, ...more: string[]) => {
    const trust = ['--cacert', server.files.root, '--cacert', server.files.issuing]
    return pki('--est', '--url', server.deviceUrl, ...trust, '--in', request, '--outform', 'pem', ...more)
  }

  const certificateOf = async (name: string, answer: { code: number | null; out: string; err: string }) => {
    expect([answer.code, told(answer)]).toEqual([0, expect.stringContaining('Issued certificate is trusted')])
    return workshop.write(`${name}.pem`, answer.out)
  }

  const verify = (certificate: string) =>
    workshop.openssl(
      'verify',
      '-x509_strict',
      '-CAfile',
      server.files.root,
      '-untrusted',
      server.files.issuing,
      certificate,
    )

  const fingerprintOf = async (certificate: string) =>
    (await workshop.openssl('x509', '-in', certificate, '-noout', '-fingerprint', '-sha256')).trim()

  it('gets root and issuing CA by pki --estca, and finds them trusted', async () => {
    const out = workshop.path('ca.pem')
    const options = ['--url', server.deviceUrl, '--cacert', server.files.root, '--caout', out, '--outform', 'pem']
    const answer = await pki('--estca', ...options)
    expect([answer.code, told(answer)]).toEqual([0, expect.stringContaining('Sub CA cert is trusted')])
    expect(await fingerprintOf(out)).toBe(await fingerprintOf(server.files.root))
    expect(await fingerprintOf(workshop.path('ca-1.pem'))).toBe(await fingerprintOf(server.files.issuing))
  })

  it('enrols with a token and renews with the certificate by pki --est, from requests that it made itself', async () => {
    const device = 'swan-1'
    const first = await prepare('first', device)
    const token = await server.token(device, 'host')
    const certificate = await certificateOf('first', await enrolment(first.request, '--userpass', `${device}:${token}`))
    expect(await verify(certificate)).toContain(': OK')
    expect(await workshop.openssl('x509', '-in', certificate, '-noout', '-ext', 'subjectAltName')).toContain(
      `DNS:${device}.devices.example.org`,
    )
    const next = await prepare('next', device, '--san', `${device}.devices.example.org`)
    const renewed = await enrolment(next.request, '--cert', certificate, '--key', first.key)
    expect(await verify(await certificateOf('next', renewed))).toContain(': OK')
    expect((await server.certificates(device)).map(({ state }) => state)).toEqual(['confirmed', 'delivered'])
  })

  it('renews a certificate with a URI name from a request of OpenSSL', async () => {
    const device = 'swan-2'
    const san = `URI:spiffe://everleaf.local/device/${device}`
    const first = await workshop.request('uri-first', { device, san })
    const token = await server.token(device, 'device')
    const enrolled = await enrolment(first.request, '--userpass', `${device}:${token}`)
    const certificate = await certificateOf('uri-first', enrolled)
    const next = await workshop.request('uri-next', { device, san })
    const renewed = await enrolment(next.request, '--cert', certificate, '--key', first.key)
    expect(await verify(await certificateOf('uri-next', renewed))).toContain(': OK')
  })

  it('is told 401 with a wrong password, and 403 once its certificate is revoked', async () => {
    const device = 'swan-3'
    const { key, request } = await prepare('refused', device)
    const token = await server.token(device, 'host')
    const wrong = await enrolment(request, '--userpass', `${device}:${token}x`)
    expect([wrong.code, wrong.out, told(wrong)]).toEqual([1, '', expect.stringContaining('HTTP 401')])
    const enrolled = await enrolment(request, '--userpass', `${device}:${token}`)
    const certificate = await certificateOf('refused', enrolled)
    const [row] = await server.certificates(device)
    await server.admin(`certificates/${row?.authority}/${row?.serial}/revoke`, { reason: 'keyCompromise' })
    const next = await prepare('refused-next', device, '--san', `${device}.devices.example.org`)
    const renewed = await enrolment(next.request, '--cert', certificate, '--key', key)
    expect([renewed.code, renewed.out, told(renewed)]).toEqual([1, '', expect.stringContaining('HTTP 403')])
  })

  describe('is why base64 comes in two layouts:', () => {
    /** Answers every request with the CA certificates in one layout, as the server's own listener would. */
    const replaying = async (body: string): Promise<{ port: number; close(): void }> => {
      const identity = await readFile(join(server.directory, 'listener', 'identity.pem'), 'utf8')
      const replay = createServer({ key: identity, cert: identity }, (_request, response) => {
        const type = { 'Content-Type': 'application/pkcs7-mime', 'Content-Transfer-Encoding': 'base64' }
        response.writeHead(200, { ...type, 'Content-Length': body.length }).end(body)
      })
      await new Promise<void>((resolve) => replay.listen(0, '127.0.0.1', resolve))
      return { port: (replay.address() as AddressInfo).port, close: () => replay.close() }
    }
    const caCertificates = async () => {
      const { body } = await curlOf(workshop, server)(est('cacerts'))
      return { body, der: decodeBase64(body) }
    }
    const readByPki = async (body: string) => {
      const { port, close } = await replaying(body)
      const out = ['--caout', workshop.path('layout.pem'), '--force']
      const answer = await pki('--estca', '--url', `https://localhost:${port}`, '--cacert', server.files.root, ...out)
      close()
      return answer.code
    }
    const readByOpenssl = async (body: string, der: Uint8Array) => {
      await workshop.openssl(
        'base64',
        '-d',
        '-in',
        await workshop.write('layout', body),
        '-out',
        workshop.path('decoded'),
      )
      return Buffer.compare(await readFile(workshop.path('decoded')), der) === 0
    }

    it('releases before 5.9.11 cannot read lines', async ({ skip }) => {
      const [major = 0, minor = 0, patch = 0] = version
      skip(major * 10_000 + minor * 100 + patch >= 50_911, `strongSwan ${version.join('.')} reads lines`)
      const { der } = await caCertificates()
      expect(await readByPki(encodeBase64Lines(der))).not.toBe(0)
      expect(await readByPki(encodeBase64(der))).toBe(0)
    })

    it("OpenSSL's reader of base64, which libest and people use, cannot do without a line end in the first 1,024 characters", async () => {
      const { der } = await caCertificates()
      const line = encodeBase64(der)
      expect(line.length).toBeGreaterThan(1_024)
      expect(await readByOpenssl(encodeBase64Lines(der), der)).toBe(true)
      expect(await readByOpenssl(line, der)).toBe(false)
      expect(await readByOpenssl(`${line}\n`, der)).toBe(false)
      expect(await readByOpenssl(`${line.slice(0, 1_000)}\n${line.slice(1_000)}\n`, der)).toBe(true)
    })

    it('who sends Accept, as libest and curl do, gets lines, and who does not, as strongSwan and BouncyCastle, gets one line', async () => {
      const curl = curlOf(workshop, server)
      const { body, der } = await caCertificates()
      expect(body).toBe(encodeBase64Lines(der))
      expect((await curl(est('cacerts'), '--header', 'Accept:')).body).toBe(encodeBase64(der))
    })
  })
})
