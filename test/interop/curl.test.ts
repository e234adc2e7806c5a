import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Server, startServer } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { type CurlAnswer, curlOf, est, identity, sending } from './curl.ts'
import { type KeyKind, openWorkshop, type PreparedRequest, type Workshop } from './workshop.ts'

const tools = [requireTool('curl'), requireTool('openssl'), requireTool('certtool')]
const sanOf = (device: string) => `URI:spiffe://everleaf.local/device/${device}`

describe.skipIf(tools.includes(false))('curl and OpenSSL as the EST client of a running server', () => {
  let server: Server
  let workshop: Workshop
  let curl: (path: string, ...options: string[]) => Promise<CurlAnswer>
  beforeAll(async () => {
    server = await startServer()
    workshop = await openWorkshop()
    curl = curlOf(workshop, server)
  })
  afterAll(async () => {
    await server?.stop()
    await workshop?.close()
  })

  const user = async (device: string) => ['--user', `${device}:${await server.token(device)}`]
  const prepare = (device: string, name = device, key: KeyKind = 'ec-p256') =>
    workshop.request(name, { device, san: sanOf(device), key })

  /** The one certificate of an answer, as a file. */
  const certificateOf = async (name: string, { body }: CurlAnswer): Promise<string> => {
    const certificates = await workshop.certificatesIn(name, body)
    expect(certificates).toHaveLength(1)
    return workshop.write(`${name}.pem`, certificates[0] ?? '')
  }

  const enrol = async (device: string, key: KeyKind = 'ec-p256') => {
    const request = await prepare(device, device, key)
    const answer = await curl(est('simpleenroll'), ...(await user(device)), ...sending(request))
    expect(answer.status).toBe(200)
    return { request, certificate: await certificateOf(device, answer) }
  }

  /** The live CRLs of both CAs, as OpenSSL and certtool read them. */
  const crls = async (): Promise<string> => {
    const texts = await Promise.all(
      [server.issuing, server.root].map(async ({ id }) => {
        await workshop.run('curl', '-sSf', '-o', workshop.path(`${id}.crl`), `${server.publicUrl}/crl/${id}/0.crl`)
        return workshop.openssl('crl', '-inform', 'DER', '-in', workshop.path(`${id}.crl`))
      }),
    )
    return workshop.write('crls.pem', texts.join(''))
  }

  const verify = async (certificate: string) => {
    const trust = ['-CAfile', server.files.root, '-untrusted', server.files.issuing]
    const checks = ['-x509_strict', '-purpose', 'sslclient', '-crl_check_all', '-CRLfile', await crls()]
    return workshop.attempt('openssl', 'verify', ...trust, ...checks, certificate)
  }

  const verifyByGnutls = async (certificate: string, ...options: string[]) => {
    const chain = await workshop.write(
      'gnutls-chain.pem',
      (await workshop.run('cat', certificate)) + server.pem.issuing,
    )
    const trust = ['--load-ca-certificate', server.files.root, '--infile', chain]
    return workshop.attempt('certtool', '--verify', '--verify-profile', 'medium', ...trust, ...options)
  }

  it('gets root and issuing CA by cacerts, which OpenSSL decodes and verifies', async () => {
    const answer = await curl(est('cacerts'))
    expect(answer.head).toMatch(/^Content-Type: application\/pkcs7-mime$/m)
    const certificates = await workshop.certificatesIn('cacerts', answer.body)
    expect(certificates).toHaveLength(2)
    expect(new Set(certificates)).toEqual(new Set([server.pem.root, server.pem.issuing]))
    const trust = ['-x509_strict', '-CAfile', server.files.root]
    expect(await workshop.openssl('verify', ...trust, server.files.issuing)).toContain(': OK')
  })

  it('reads csrattrs, as DER that OpenSSL parses', async () => {
    const { body } = await curl(est('csrattrs'))
    const der = await workshop.write('attributes.der', Buffer.from(body, 'base64'))
    const text = await workshop.openssl('asn1parse', '-inform', 'DER', '-in', der)
    expect(text).toMatch(/id-ecPublicKey[\s\S]*prime256v1/)
    expect(text).toMatch(/rsaEncryption/)
    expect(text).toMatch(/ecdsa-with-SHA256/)
  })

  it('is asked for its password by a 401 and sends it on the same connection', async () => {
    const request = await prepare('dance-1')
    const answer = await curl(est('simpleenroll'), '--anyauth', ...(await user('dance-1')), ...sending(request))
    expect(answer.told.match(/^< HTTP\/1\.1 .*$/gm)).toEqual(['< HTTP/1.1 401 Unauthorized', '< HTTP/1.1 200 OK'])
    expect(answer.told).toMatch(/^< WWW-Authenticate: Basic realm=/m)
    expect(answer.told).toMatch(/Re-using existing connection/i)
    const [first = '', second = ''] = answer.told.split('< HTTP/1.1 401')
    expect([first, second].map((part) => /^> Authorization: Basic/m.test(part))).toEqual([false, true])
    await certificateOf('dance-1', answer)
  })

  it.each(['ec-p256', 'ec-p384', 'rsa-2048'] as const)(
    'enrols an %s key, and OpenSSL and GnuTLS verify the chain with the CRLs of every CA',
    async (key) => {
      const { certificate, request } = await enrol(`key-${key}`, key)
      expect(await verify(certificate)).toMatchObject({ code: 0, out: expect.stringContaining(': OK') })
      const gnutls = await verifyByGnutls(certificate, '--load-crl', await crls())
      expect(gnutls).toMatchObject({ code: 0, out: expect.stringContaining('Chain verification output: Verified.') })
      const own = await workshop.openssl('x509', '-in', certificate, '-noout', '-pubkey')
      expect(own).toBe(await workshop.openssl('pkey', '-in', request.key, '-pubout'))
    },
  )

  it.each(['1.2', '1.3'])('renews over mutual TLS %s with the certificate that it got', async (version) => {
    const device = `renew-${version}`
    const first = await enrol(device)
    const next = await prepare(device, `${device}-next`)
    const only = [`--tlsv${version}`, '--tls-max', version]
    const options = [...only, ...identity(first.certificate, first.request), ...sending(next)]
    const answer = await curl(est('simplereenroll'), ...options)
    expect(answer.told).toContain(`SSL connection using TLSv${version}`)
    const second = await certificateOf(`${device}-next`, answer)
    expect(await verify(second)).toMatchObject({ code: 0 })
    expect((await server.certificates(device)).map(({ state }) => state)).toEqual(['confirmed', 'delivered'])
    const use = await curl('/everleaf/v1/trust-anchors', ...only, ...identity(second, next))
    expect(use.status).toBe(200)
    expect((await server.certificates(device)).map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
  })

  it('gets the same certificate again when it asks again with the same key', async () => {
    const first = await enrol('again-1')
    const next = await prepare('again-1', 'again-1-next')
    const ask = async (name: string) =>
      workshop.run(
        'cat',
        await certificateOf(
          name,
          await curl(est('simplereenroll'), ...identity(first.certificate, first.request), ...sending(next)),
        ),
      )
    expect(await ask('again-one')).toBe(await ask('again-two'))
    expect(await server.certificates('again-1')).toHaveLength(2)
  })

  it('sends its request chunked', async () => {
    const request = await prepare('chunked-1')
    const chunked = ['--header', 'Transfer-Encoding: chunked', ...sending(request)]
    const answer = await curl(est('simpleenroll'), ...(await user('chunked-1')), ...chunked)
    expect(answer.told).toMatch(/^> Transfer-Encoding: chunked/m)
    expect(answer.told).not.toMatch(/^> Content-Length/m)
    await certificateOf('chunked-1', answer)
  })

  it('waits for 100 Continue before it sends its request', async () => {
    const request = await prepare('expect-1')
    const expecting = ['--header', 'Expect: 100-continue', '--expect100-timeout', '20', ...sending(request)]
    const answer = await curl(est('simpleenroll'), ...(await user('expect-1')), ...expecting)
    expect(answer.told.match(/^< HTTP\/1\.1 .*$/gm)).toEqual(['< HTTP/1.1 100 Continue', '< HTTP/1.1 200 OK'])
    await certificateOf('expect-1', answer)
  })

  describe('is refused, and its token stays good,', () => {
    const refused: Array<[string, (request: PreparedRequest) => Promise<string[]>, number, RegExp]> = [
      [
        'with another media type',
        async (request) => sending(request, 'application/x-pem-file'),
        415,
        /application\/pkcs10/,
      ],
      [
        'with a body of 200,000 bytes',
        async () => [
          ...sending({ key: '', request: '', body: await workshop.write('large', 'A'.repeat(200_000)) }),
          '--header',
          'Expect:',
        ],
        413,
        /200000 bytes/,
      ],
      [
        'with a body of 200,000 bytes that waits for 100 Continue, which never comes',
        async () => [
          ...sending({ key: '', request: '', body: await workshop.write('large', 'A'.repeat(200_000)) }),
          ...['--header', 'Expect: 100-continue', '--expect100-timeout', '20'],
        ],
        413,
        /200000 bytes/,
      ],
      ['with PEM instead of base64', async ({ request }) => sending({ key: '', request, body: request }), 400, /PEM/],
      [
        'with plain DER',
        async ({ body }) => sending({ key: '', request: '', body: body.replace(/b64$/, 'der') }),
        400,
        /DER/,
      ],
      [
        'with a request in the name of another device',
        async () => sending(await workshop.request('other', { device: 'somebody-else' })),
        400,
        /somebody-else/,
      ],
    ]
    let refusals = 0
    it.each(refused)('%s', async (_name, options, status, words) => {
      refusals += 1
      const device = `refused-${refusals}`
      const request = await workshop.request(device, { device })
      const credentials = await user(device)
      const answer = await curl(est('simpleenroll'), ...credentials, ...(await options(request)))
      expect([answer.status, answer.body]).toEqual([status, expect.stringMatching(words)])
      expect(answer.told).not.toMatch(/100 Continue/)
      expect(await server.certificates(device)).toEqual([])
      const good = await curl(est('simpleenroll'), ...credentials, ...sending(request))
      expect(good.status).toBe(200)
      const other = await workshop.request(`${device}-other`, { device })
      const twice = await curl(est('simpleenroll'), ...credentials, ...sending(other))
      expect([twice.status, twice.body]).toEqual([401, ''])
    })
  })

  it('is refused everything once revoked, and OpenSSL and GnuTLS say so from the CRL', async () => {
    const { certificate, request } = await enrol('revoked-1')
    const use = () => curl('/everleaf/v1/trust-anchors', ...identity(certificate, request))
    expect((await use()).status).toBe(200)
    const [row] = await server.certificates('revoked-1')
    const revoked = await server.everleaf('certs', 'revoke', row?.serial ?? '', '--reason', 'keyCompromise', '--yes')
    expect(revoked).toMatchObject({ code: 0 })
    expect((await use()).status).toBe(403)
    const renewed = await curl(est('simplereenroll'), ...identity(certificate, request), ...sending(request))
    expect([renewed.status, renewed.body]).toEqual([403, expect.stringMatching(/revoked/)])
    await expect
      .poll(() => verify(certificate), { timeout: 10_000 })
      .toMatchObject({
        code: 2,
        err: expect.stringContaining('certificate revoked'),
      })
    const gnutls = await verifyByGnutls(certificate, '--load-crl', await crls())
    expect(gnutls.out).toContain('revoked')
  })
})
