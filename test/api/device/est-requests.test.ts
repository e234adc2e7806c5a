import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseCertificate } from '../../../src/pki/certificate.ts'
import { encodeBase64, encodeBase64Lines } from '../../../src/protocol/base64.ts'
import { makeCsr, makeKey } from '../../support/certificates.ts'
import { deviceProfile } from '../../support/world.ts'
import { call, exchangeRaw } from '../support/client.ts'
import { basic, certificatesIn, csrBody, sanOf, simpleenroll } from '../support/est.ts'
import { type House, makeHouse } from '../support/house.ts'

let house: House
beforeAll(async () => {
  house = await makeHouse({ profiles: [deviceProfile, { ...deviceProfile, name: 'other' }] })
})
afterAll(() => house.stop())

const csr = async (device: string) => (await makeCsr({ subject: device, san: sanOf(device) })).der

const enrol = async (device: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  simpleenroll({ port: house.port, token: await house.token(device), body, headers })

const post = (path: string, { headers, body }: { headers: string[]; body: string }): Promise<string> =>
  exchangeRaw(
    house.port,
    [`POST ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', body].join('\r\n'),
  )

describe('a request body is taken', () => {
  const forms: Array<[string, (der: Uint8Array) => string]> = [
    ['as one line', encodeBase64],
    ['wrapped at 64 with LF', (der) => encodeBase64Lines(der, 64)],
    ['wrapped at 76 with CRLF', (der) => encodeBase64Lines(der).replaceAll('\n', '\r\n')],
    ['with blanks, tabs and empty lines', (der) => ` \r\n\t${encodeBase64(der).replace(/(.{7})/g, '$1 \t\n\n')} `],
  ]
  it.each(forms)('%s', async (name, encode) => {
    const device = `form-${name.replaceAll(/[^a-z0-9]/g, '-')}`
    expect((await enrol(device, encode(await csr(device)))).status).toBe(200)
  })

  it('in chunks, as the client of GlobalSign sends it', async () => {
    const body = await csrBody('chunked-1')
    const pieces = body.match(/[\s\S]{1,50}/g) ?? []
    const chunks = [...pieces, ''].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
    const authorization = `Authorization: ${basic(await house.token('chunked-1'))}`
    const headers = ['Content-Type: application/pkcs10', 'Transfer-Encoding: chunked', authorization]
    expect(await post('/.well-known/est/simpleenroll', { headers, body: chunks })).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('after Expect: 100-continue was answered', async () => {
    const body = await csrBody('expect-1')
    const authorization = `Authorization: ${basic(await house.token('expect-1'))}`
    const length = `Content-Length: ${body.length}`
    const headers = ['Content-Type: application/pkcs10', 'Expect: 100-continue', length, authorization]
    const text = await post('/.well-known/est/simpleenroll', { headers, body })
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
  })

  it('whatever Content-Transfer-Encoding says', async () => {
    for (const encoding of ['base64', 'binary', '7bit', 'nonsense']) {
      const device = `encoding-${encoding}`
      const answer = await enrol(device, await csrBody(device), { 'Content-Transfer-Encoding': encoding })
      expect(answer.status).toBe(200)
    }
  })

  it('with parameters after the media type, in any case', async () => {
    const body = await csrBody('media-1')
    expect((await enrol('media-1', body, { 'Content-Type': 'Application/PKCS10; charset=utf-8' })).status).toBe(200)
  })

  it('under the label of its profile', async () => {
    const request = async (label: string) =>
      simpleenroll({ port: house.port, label, token: await house.token('label-1'), body: await csrBody('label-1') })
    expect((await request('other')).status).toBe(403)
    expect((await request('device')).status).toBe(200)
  })
})

describe('a request body is refused, and the token stays good,', () => {
  const wrong: Array<[string, (der: Uint8Array) => string | Uint8Array, number, string]> = [
    ['as DER', (der) => der, 400, 'plain DER'],
    [
      'as PEM',
      (der) => `-----BEGIN CERTIFICATE REQUEST-----\n${encodeBase64Lines(der, 64)}-----END CERTIFICATE REQUEST-----\n`,
      400,
      'PEM',
    ],
    ['when it is empty', () => '', 400, 'empty'],
    ['when it is not base64', () => '*'.repeat(100), 400, 'base64'],
    ['when its base64 is cut', (der) => encodeBase64(der).slice(0, -3), 400, 'base64'],
    ['when its DER is cut', (der) => encodeBase64(der.subarray(0, -9)), 400, 'CSR'],
    ['when bytes trail', (der) => encodeBase64(Uint8Array.of(...der, 0)), 400, 'CSR'],
    [
      'when the signature is another',
      (der) => encodeBase64(der.map((byte, at) => (at === der.length - 3 ? byte ^ 1 : byte))),
      400,
      'CSR',
    ],
    ['when it is larger than the largest request', () => 'A'.repeat(100_000), 413, 'at most'],
    ['when it is very large', () => 'A'.repeat(900_000), 413, 'at most'],
  ]
  it.each(wrong)('%s', async (name, make, status, message) => {
    const device = `wrong-${name.replaceAll(/[^a-z0-9]/g, '-')}`
    const token = await house.token(device)
    const body = make(await csr(device))
    const answer = await simpleenroll({ port: house.port, token, body })
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(message)])
    expect(answer.rawHeaders['Content-Type']).toBe('text/plain; charset=utf-8')
    const again = await simpleenroll({ port: house.port, token, body: await csrBody(device) })
    expect(again.status).toBe(200)
  })

  it('for another media type', async () => {
    for (const type of ['application/pkcs10x', 'application/x-www-form-urlencoded', 'text/plain', 'application/json'])
      expect((await enrol('type-1', await csrBody('type-1'), { 'Content-Type': type })).status).toBe(415)
  })

  it('for more than it may ask before it is sent, where the client waits for 100 Continue', async () => {
    const headers = ['Content-Type: application/pkcs10', 'Expect: 100-continue', 'Content-Length: 500000']
    expect(await post('/.well-known/est/simpleenroll', { headers, body: '' })).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('for another expectation', async () => {
    const headers = ['Content-Type: application/pkcs10', 'Expect: miracles', 'Content-Length: 0']
    expect(await post('/.well-known/est/simpleenroll', { headers, body: '' })).toMatch(/^HTTP\/1\.1 417 /)
  })
})

describe('a failure', () => {
  it('is text for an EST client, with a length', async () => {
    const { rawHeaders, text } = await enrol('failure-1', 'AAAA')
    expect(rawHeaders['Content-Type']).toBe('text/plain; charset=utf-8')
    expect(rawHeaders['Content-Length']).toBe(String(Buffer.byteLength(text)))
  })

  it('is a problem document for whoever accepts one, a 401 too', async () => {
    const accept = { Accept: 'application/problem+json' }
    const refused = await enrol('failure-2', 'AAAA', accept)
    expect(refused.rawHeaders['Content-Type']).toBe('application/problem+json')
    expect(refused.json()).toMatchObject({ type: 'about:blank', title: 'Bad Request', status: 400, code: 'bad-input' })
    const body = await csrBody('failure-2')
    const nobody = await simpleenroll({ port: house.port, body, headers: accept })
    expect(nobody.json()).toMatchObject({ status: 401, code: 'unauthenticated' })
  })
})

describe('routes', () => {
  it('that do not exist are 404, wrong methods 405 with what is allowed, queries 400', async () => {
    const status = async (path: string, method = 'GET') => (await call({ port: house.port, path, method })).status
    for (const path of [
      '/',
      '/.well-known/est',
      '/.well-known/est/',
      '/.well-known/est/serverkeygen',
      '/everleaf/v1/',
      '/everleaf/v1/constructor',
      '/.well-known/est/toString',
    ])
      expect([path, await status(path)]).toEqual([path, 404])
    expect(await status('/.well-known/est/cacerts?x=1')).toBe(400)
    const wrong = await call({ port: house.port, path: '/.well-known/est/cacerts', method: 'POST' })
    expect([wrong.status, wrong.rawHeaders.Allow]).toEqual([405, 'GET'])
    const head = await call({ port: house.port, path: '/.well-known/est/cacerts', method: 'HEAD' })
    expect([head.status, head.bytes.length, Number(head.rawHeaders['Content-Length']) > 1_000]).toEqual([200, 0, true])
  })
})

describe('what a request asks for', () => {
  it('is not copied: extensions of the old certificate, as libest repeats them, are passed over', async () => {
    const { execFileSync } = await import('node:child_process')
    const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs')
    const { tmpdir } = await import('node:os')
    const folder = mkdtempSync(`${tmpdir()}/everleaf-libest-`)
    const key = makeKey()
    writeFileSync(`${folder}/key.pem`, key.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    writeFileSync(
      `${folder}/request.conf`,
      `[req]\nprompt = no\ndistinguished_name = name\nreq_extensions = wanted\n[name]\nCN = libest-2\n[wanted]\nsubjectAltName = URI:spiffe://everleaf.test/device/libest-2\nkeyUsage = keyCertSign\nbasicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = 01:02:03\nextendedKeyUsage = serverAuth\ncrlDistributionPoints = URI:http://elsewhere.test/0.crl\n`,
    )
    execFileSync('openssl', [
      'req',
      '-new',
      '-key',
      `${folder}/key.pem`,
      '-config',
      `${folder}/request.conf`,
      '-outform',
      'DER',
      '-out',
      `${folder}/request.der`,
    ])
    const answer = await enrol('libest-2', encodeBase64Lines(readFileSync(`${folder}/request.der`)))
    rmSync(folder, { recursive: true })
    expect(answer.status).toBe(200)
    const certificate = parseCertificate(certificatesIn(answer)[0] ?? new Uint8Array())
    expect(certificate).toMatchObject({ authority: null, extendedKeyUsage: ['clientAuth'] })
    expect(certificate.keyUsage).not.toContain('keyCertSign')
    expect(certificate.crlDistributionPoints.join()).toContain('crl.everleaf.test')
  })

  it("is refused where it is not the device's own name", async () => {
    const token = await house.token('own-1')
    const stranger = await simpleenroll({ port: house.port, token, body: await csrBody('somebody-else') })
    expect([stranger.status, stranger.text]).toEqual([400, expect.stringContaining('somebody-else')])
  })
})
