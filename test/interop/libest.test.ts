import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { encodeBase64Lines } from '../../src/protocol/base64.ts'
import { readDer } from '../../src/protocol/der.ts'
import { decodePem } from '../../src/protocol/pem.ts'
import { extensionRequest, rawCsr } from '../fixtures/raw-csr.ts'
import { makeCsr, makeKey, type TestKey } from '../support/certificates.ts'
import { type Server, startServer } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import {
  type Connection,
  exchange,
  headerOf,
  openTls,
  readStrictly,
  type StrictAnswer,
  tlsUnique,
} from './strict-client.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

interface Identity {
  key: string
  cert: string
}

const repeated = ['Authority Key Identifier', 'Subject Key Identifier', 'Key Usage', 'CRL Distribution Points']

/** A request with every extension of the certificate that it renews. */
const repeating = (pem: string, { privateKey, spki }: TestKey): Uint8Array => {
  const { tbs, subject } = parseCertificate(decodePem(pem, 'CERTIFICATE')[0] ?? new Uint8Array())
  const extensions =
    readDer(tbs)
      .children.at(-1)
      ?.children[0]?.children.map(({ bytes }) => bytes) ?? []
  const attributes = [extensionRequest(...extensions)]
  return rawCsr({ privateKey, spki, algorithm: 'ecdsa-sha256', subject, attributes })
}

/** What libest 3.2.0 puts on the wire and what it insists on in return; OpenSSL decodes for it as in the real one. */
describe.skipIf(!requireTool('openssl'))('a client as strict as libest', () => {
  let server: Server
  let workshop: Workshop
  beforeAll(async () => {
    server = await startServer()
    workshop = await openWorkshop()
  })
  afterAll(async () => {
    await server?.stop()
    await workshop?.close()
  })

  const connect = (session?: Buffer, identity?: Identity): Promise<Connection> =>
    openTls(server.ports.device, { ca: server.pem.root, maxVersion: 'TLSv1.2', session, ...identity })

  const common = () =>
    `User-Agent: libest 3.2.0p\r\nConnection: close\r\nHost: localhost:${server.ports.device}\r\nAccept: */*\r\n`

  /** libest ends a GET with one CRLF too many. */
  const get = async (operation: string): Promise<StrictAnswer> => {
    const request = `GET /.well-known/est/${operation} HTTP/1.1\r\n${common()}\r\n\r\n`
    return readStrictly(await exchange(await connect(), request))
  }

  /** And a POST with a CRLF behind the body that Content-Length does not count. */
  const post = async (connection: Connection, operation: string, der: Uint8Array, authorization = '') => {
    const body = encodeBase64Lines(der, 64)
    const type = 'Content-Type: application/pkcs10\r\nContent-Transfer-Encoding: base64\r\n'
    const head = `${common()}${type}Content-Length: ${body.length}\r\n${authorization}`
    return readStrictly(
      await exchange(connection, `POST /.well-known/est/${operation} HTTP/1.1\r\n${head}\r\n${body}\r\n`),
    )
  }

  const basic = (device: string, token: string) =>
    `Authorization: Basic ${Buffer.from(`${device}:${token}`).toString('base64')}\r\n`

  const sanOf = (device: string) => ({ uri: [`spiffe://everleaf.local/device/${device}`] })
  const requestOf = async (device: string, challengePassword: string | undefined, key: TestKey) =>
    (await makeCsr({ subject: device, san: sanOf(device), key, challengePassword })).der

  /** 401 on a first connection, the password on a second one that resumes the session of the first. */
  const enrol = async (device: string, key = makeKey()) => {
    const token = await server.token(device)
    const first = await connect()
    const asked = await post(first, 'simpleenroll', await requestOf(device, tlsUnique(first), key))
    const second = await connect(first.session())
    const request = await requestOf(device, tlsUnique(second), key)
    const answer = await post(second, 'simpleenroll', request, basic(device, token))
    return { key, asked, answer, isResumed: second.isResumed, token }
  }

  const identityOf = async (name: string, key: TestKey, { body }: StrictAnswer): Promise<Identity> => {
    const certificates = await workshop.certificatesIn(name, body)
    expect(certificates).toHaveLength(1)
    return { key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: certificates[0] ?? '' }
  }

  it('gets cacerts with exactly the headers that it looks for, and every certificate verifies among them', async () => {
    const answer = await get('cacerts')
    expect(answer.status).toBe(200)
    expect(headerOf(answer, 'Content-Type')).toBe('application/pkcs7-mime')
    const [one = '', other = ''] = await workshop.certificatesIn('cacerts', answer.body)
    const all = await workshop.write('cacerts.pem', one + other)
    for (const [name, pem] of [['one', one] as const, ['other', other] as const]) {
      const file = await workshop.write(`${name}.pem`, pem)
      expect(await workshop.openssl('verify', '-CAfile', server.files.root, '-untrusted', all, file)).toContain(': OK')
    }
  })

  it('reads csrattrs', async () => {
    const answer = await get('csrattrs')
    expect([answer.status, headerOf(answer, 'Content-Type')]).toEqual([200, 'application/csrattrs'])
  })

  it('sends its password only after a 401, on a resumed session, with tls-unique in the request each time', async () => {
    const { asked, answer, isResumed, key } = await enrol('strict-1')
    expect([asked.status, asked.body]).toEqual([401, ''])
    expect(headerOf(asked, 'WWW-Authenticate')).toMatch(/^Basic realm="[^"]+"$/)
    expect(isResumed).toBe(true)
    expect(answer.status).toBe(200)
    expect(headerOf(answer, 'Content-Type')).toBe('application/pkcs7-mime; smime-type=certs-only')
    await identityOf('strict-1', key, answer)
  })

  it('has its request refused when tls-unique is that of another connection', async () => {
    const device = 'strict-2'
    const token = await server.token(device)
    const key = makeKey()
    const [former, latter] = [await connect(), await connect()]
    const replayed = await requestOf(device, tlsUnique(former), key)
    former.socket.destroy()
    const refused = await post(latter, 'simpleenroll', replayed, basic(device, token))
    expect([refused.status, refused.body]).toEqual([400, expect.stringContaining('tls-unique')])
    const own = await connect()
    const answer = await post(own, 'simpleenroll', await requestOf(device, tlsUnique(own), key), basic(device, token))
    expect(answer.status).toBe(200)
  })

  it('has its request refused when a resumed session names the Finished of the wrong side', async () => {
    const device = 'strict-3'
    const token = await server.token(device)
    const key = makeKey()
    const first = await connect()
    await post(first, 'simpleenroll', await requestOf(device, tlsUnique(first), key))
    const second = await connect(first.session())
    expect(second.isResumed).toBe(true)
    const wrong = tlsUnique({ ...second, isResumed: false })
    const refused = await post(second, 'simpleenroll', await requestOf(device, wrong, key), basic(device, token))
    expect(refused.status).toBe(400)
    expect(await server.certificates(device)).toEqual([])
  })

  it('renews over mutual TLS, resumed too, with a request that repeats every extension of its certificate', async () => {
    const device = 'strict-4'
    const { key, answer } = await enrol(device)
    const identity = await identityOf(device, key, answer)
    const request = repeating(identity.cert, key)
    const file = await workshop.write('repeating.der', request)
    const asked = await workshop.openssl('req', '-inform', 'DER', '-in', file, '-noout', '-verify', '-text')
    for (const extension of repeated) expect(asked.split(`X509v3 ${extension}`)).toHaveLength(2)
    const full = await connect(undefined, identity)
    const renewed = await post(full, 'simplereenroll', request)
    expect(renewed.status).toBe(200)
    const resumed = await connect(full.session(), identity)
    expect(resumed.isResumed).toBe(true)
    const again = await post(resumed, 'simplereenroll', request)
    expect([again.status, again.body]).toEqual([200, renewed.body])
    const [pem = ''] = await workshop.certificatesIn('renewed', renewed.body)
    const renewedFile = await workshop.write('renewed.pem', pem)
    const shown = await workshop.openssl('x509', '-in', renewedFile, '-noout', '-text')
    for (const extension of repeated) expect(shown.split(`X509v3 ${extension}`)).toHaveLength(2)
    const trust = ['-CAfile', server.files.root, '-untrusted', server.files.issuing]
    expect(await workshop.openssl('verify', '-x509_strict', ...trust, renewedFile)).toContain(': OK')
  })

  it('is refused on a resumed session as soon as its certificate is revoked', async () => {
    const device = 'strict-5'
    const { key, answer } = await enrol(device)
    const identity = await identityOf(device, key, answer)
    const before = await connect(undefined, identity)
    const next = makeKey()
    expect((await post(before, 'simplereenroll', await requestOf(device, undefined, next))).status).toBe(200)
    const [row] = await server.certificates(device)
    await server.admin(`certificates/${row?.authority}/${row?.serial}/revoke`, {})
    const after = await connect(before.session(), identity)
    expect(after.isResumed).toBe(true)
    const refused = await post(after, 'simplereenroll', await requestOf(device, undefined, makeKey()))
    expect([refused.status, refused.body]).toEqual([403, expect.stringContaining('revoked')])
  })
})
