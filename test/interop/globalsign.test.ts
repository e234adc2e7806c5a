import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeBase64 } from '../../src/protocol/base64.ts'
import { makeCsr, makeKey, type TestKey } from '../support/certificates.ts'
import { type Server, startServer } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { exchangeOnce, headerOf, openTls, readStrictly, type StrictAnswer } from './strict-client.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

/** What GlobalSign's client, written in Go, puts on the wire: chunked requests, several on one connection of TLS 1.3. */
describe.skipIf(!requireTool('openssl'))("a client that sends chunked requests, as GlobalSign's", () => {
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

  const requestOf = async (device: string, key: TestKey) =>
    (await makeCsr({ subject: device, san: { uri: [`spiffe://everleaf.local/device/${device}`] }, key })).der

  /** Base64 in lines of CRLF, in chunks that keep to no line. */
  const chunked = (der: Uint8Array): string => {
    const body = (encodeBase64(der).match(/.{1,76}/g) ?? []).map((line) => `${line}\r\n`).join('')
    const chunks = body.match(/[\s\S]{1,100}/g) ?? []
    return [...chunks, ''].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
  }

  const post = (operation: string, der: Uint8Array, authorization = '') => {
    const types = 'Content-Type: application/pkcs10\r\nContent-Transfer-Encoding: base64\r\n'
    const head = `Host: localhost:${server.ports.device}\r\nUser-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\n`
    const gzip = 'Accept-Encoding: gzip\r\n'
    return `POST /.well-known/est/${operation} HTTP/1.1\r\n${head}${types}${authorization}${gzip}\r\n${chunked(der)}`
  }

  /** An error for anything but exactly one certificate, as in the real one. */
  const only = async (name: string, answer: StrictAnswer): Promise<string> => {
    expect([answer.status, headerOf(answer, 'Content-Encoding')]).toEqual([200, undefined])
    const der = await workshop.write(`${name}.p7`, Buffer.from(answer.body, 'base64'))
    const text = await workshop.openssl('pkcs7', '-inform', 'DER', '-in', der, '-print_certs')
    expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(1)
    return text
  }

  it('is asked for its password, enrols and renews, on connections that stay open', async () => {
    const device = 'gopher-1'
    const credentials = Buffer.from(`${device}:${await server.token(device)}`).toString('base64')
    const key = makeKey()
    const request = await requestOf(device, key)
    const connection = await openTls(server.ports.device, { ca: server.pem.root })
    expect(connection.socket.getProtocol()).toBe('TLSv1.3')
    const asked = readStrictly(await exchangeOnce(connection, post('simpleenroll', request)))
    expect(asked.status).toBe(401)
    const bytes = post('simpleenroll', request, `Authorization: Basic ${credentials}\r\n`)
    const cert = await only('first', readStrictly(await exchangeOnce(connection, bytes)))
    connection.socket.destroy()
    const identity = { cert, key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
    const authenticated = await openTls(server.ports.device, { ca: server.pem.root, ...identity })
    const next = await requestOf(device, makeKey())
    const ask = async () => readStrictly(await exchangeOnce(authenticated, post('simplereenroll', next)))
    const renewed = await ask()
    await only('second', renewed)
    expect((await ask()).body).toBe(renewed.body)
    authenticated.socket.destroy()
    expect((await server.certificates(device)).map(({ state }) => state)).toEqual(['confirmed', 'delivered'])
  })

  it('is refused when it sends length and chunks at once', async () => {
    const connection = await openTls(server.ports.device, { ca: server.pem.root })
    const request = await requestOf('gopher-2', makeKey())
    const both = post('simpleenroll', request).replace('Transfer-Encoding', 'Content-Length: 5\r\nTransfer-Encoding')
    expect(readStrictly(await exchangeOnce(connection, both)).status).toBe(400)
  })
})
