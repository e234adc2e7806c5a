import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseCertificate } from '../../../src/pki/certificate.ts'
import { decodeBase64 } from '../../../src/protocol/base64.ts'
import { readDer, readObjectIdentifier } from '../../../src/protocol/der.ts'
import { oid } from '../../../src/protocol/oid.ts'
import { deviceProfile } from '../../support/world.ts'
import { type ClientAnswer, call, exchangeRaw, openTls, recordingProxy } from '../support/client.ts'
import { basic, certificatesIn, csrBody, reenrol, simpleenroll } from '../support/est.ts'
import { type House, identityOf, makeHouse } from '../support/house.ts'

let house: House
beforeAll(async () => {
  const elliptic = { ...deviceProfile, name: 'sensor', keys: ['ec-p256'] as const }
  house = await makeHouse({ profiles: [deviceProfile, elliptic] })
})
afterAll(() => house.stop())

const get = (path: string, more = {}) => call({ port: house.port, path, ...more })
const enrol = async (device: string, more = {}): Promise<ClientAnswer> =>
  simpleenroll({ port: house.port, token: await house.token(device), body: await csrBody(device), ...more })

describe('an enrolment answer', () => {
  it('has the media type that libest compares, the encoding that BouncyCastle needs, and a length', async () => {
    const answer = await enrol('answer-1')
    expect(answer.status).toBe(200)
    expect(answer.rawHeaders).toMatchObject({
      'Content-Type': 'application/pkcs7-mime; smime-type=certs-only',
      'Content-Transfer-Encoding': 'base64',
      'Content-Length': String(answer.bytes.length),
    })
    expect(Object.keys(answer.rawHeaders).length).toBeLessThanOrEqual(16)
    expect(answer.headers['transfer-encoding']).toBeUndefined()
  })

  it('is base64 in lines of at most 76 characters that end with LF for who sends Accept, as libest and curl do', async () => {
    const { text } = await enrol('answer-2', { headers: { Accept: '*/*' } })
    const lines = text.split('\n')
    expect(lines.pop()).toBe('')
    expect(lines.slice(0, -1).every((line) => line.length === 76)).toBe(true)
    expect(text).toMatch(/^[A-Za-z0-9+/=\n]+$/)
    expect(lines.length).toBeGreaterThan(3)
  })

  it('is one line of base64 for who does not, as strongSwan', async () => {
    const { text } = await enrol('answer-5')
    expect(text).toMatch(/^[A-Za-z0-9+/]{500,}={0,2}$/)
  })

  it('holds exactly the one certificate, for the key and names of the device', async () => {
    const [certificate, ...others] = certificatesIn(await enrol('answer-3'))
    expect(others).toEqual([])
    expect(parseCertificate(certificate ?? new Uint8Array())).toMatchObject({ subjectText: 'CN=answer-3' })
  })

  it('is recorded as delivered after it went out, not before', async () => {
    const answer = await enrol('answer-4')
    const [der = new Uint8Array()] = certificatesIn(answer)
    const key = { authority: house.world.ports.authorities.issuing.id, serial: parseCertificate(der).serial }
    await expect.poll(async () => (await house.world.ports.store.certificates.get(key))?.state).toBe('delivered')
  })
})

describe('cacerts', () => {
  it('holds the root and every intermediate, to anybody who asks', async () => {
    const answer = await get('/.well-known/est/cacerts')
    expect(answer.status).toBe(200)
    expect(answer.rawHeaders).toMatchObject({
      'Content-Type': 'application/pkcs7-mime',
      'Content-Transfer-Encoding': 'base64',
    })
    const subjects = certificatesIn(answer).map((der) => parseCertificate(der).subjectText)
    const expected = house.world.ports.authorities.issuing.chain.map(({ subjectText }) => subjectText)
    expect(subjects.toSorted()).toEqual(expected.toSorted())
    expect(subjects).toHaveLength(2)
  })

  it('is there under the label of a profile, and 404 under any other', async () => {
    expect((await get('/.well-known/est/device/cacerts')).status).toBe(200)
    expect((await get('/.well-known/est/other/cacerts')).status).toBe(404)
    expect((await get('/.well-known/est/device/more/cacerts')).status).toBe(404)
  })
})

describe('csrattrs', () => {
  const attributesIn = (answer: ClientAnswer) =>
    readDer(decodeBase64(answer.text)).children.map((node) =>
      node.tag === 0x30
        ? [readObjectIdentifier(node.children[0] ?? node), node.children[1]?.children[0]?.bytes.join() ?? '']
        : readObjectIdentifier(node),
    )
  const p256 = [oid.ecPublicKey, [6, 8, 42, 134, 72, 206, 61, 3, 1, 7].join()]

  it('names the keys of the labelled profile, with their curve, and the signatures that go with them', async () => {
    const answer = await get('/.well-known/est/sensor/csrattrs')
    expect(answer.rawHeaders).toMatchObject({
      'Content-Type': 'application/csrattrs',
      'Content-Transfer-Encoding': 'base64',
    })
    expect(attributesIn(answer)).toEqual([p256, oid.ecdsaWithSHA256])
  })

  it('names those of all profiles to a stranger and those of its own to a device', async () => {
    const generic = attributesIn(await get('/.well-known/est/csrattrs'))
    expect(generic).toHaveLength(3 + 3)
    expect(generic).toContainEqual([oid.rsaEncryption, [2, 2, 8, 0].join()])
    const device = await house.world.enrol('attributes-1', { profile: 'sensor' })
    const own = await get('/.well-known/est/csrattrs', { identity: identityOf(device) })
    expect(attributesIn(own)).toEqual([p256, oid.ecdsaWithSHA256])
  })
})

describe('an unauthenticated enrolment', () => {
  it('gets an empty 401 with the Basic challenge, in the handshake nothing is demanded', async () => {
    const answer = await simpleenroll({ port: house.port, body: await csrBody('nobody-1') })
    expect(answer.status).toBe(401)
    expect(answer.rawHeaders).toMatchObject({ 'WWW-Authenticate': 'Basic realm="everleaf"', 'Content-Length': '0' })
    expect(answer.bytes).toHaveLength(0)
    expect(answer.rawHeaders['Everleaf-Problem']).toContain('one-time token')
  })

  it('can be followed by the password on the same connection', async () => {
    const body = await csrBody('libest-1')
    const token = await house.token('libest-1')
    const head = (authorization: string, close: string) =>
      `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n${authorization}${close}Content-Length: ${body.length}\r\n\r\n${body}`
    const text = await exchangeRaw(
      house.port,
      head('', '') + head(`Authorization: ${basic(token)}\r\n`, 'Connection: close\r\n'),
    )
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200'])
  })
})

describe('on the wire', () => {
  const requests: Array<[string, () => Promise<string>, number]> = [
    ['cacerts', async () => 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n', 200],
    [
      'an enrolment',
      async () => {
        const body = await csrBody('wire-1')
        const authorization = `Authorization: ${basic(await house.token('wire-1'))}\r\n`
        return `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\n${authorization}Content-Length: ${body.length}\r\n\r\n${body}`
      },
      200,
    ],
    ['a 401', async () => 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n', 401],
    ['a refusal', async () => 'GET /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n', 405],
    ['renewal information', async () => 'GET /everleaf/v1/renewal-info/AAAA.BBBB HTTP/1.1\r\nHost: x\r\n', 404],
  ]
  it.each(requests)(
    '%s goes out as head and body in one write, the head under 1,024 bytes',
    async (_, make, status) => {
      const made = await make()
      const request = made.includes('\r\n\r\n') ? made : `${made}\r\n`
      const proxy = await recordingProxy(house.port)
      const socket = await openTls(proxy.port, { maxVersion: 'TLSv1.2' })
      const answer = new Promise<string>((resolve) => {
        let text = ''
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
          const length = /Content-Length: (\d+)/.exec(text)?.[1]
          const end = text.indexOf('\r\n\r\n')
          if (end >= 0 && text.length === end + 4 + Number(length)) resolve(text)
        })
      })
      socket.write(request)
      const text = await answer
      socket.destroy()
      await proxy.close()
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(text.indexOf('\r\n\r\n')).toBeLessThan(1_000)
      expect(text).not.toMatch(/^transfer-encoding/im)
      expect(proxy.records()).toHaveLength(1)
    },
  )

  it('TLS 1.3 is preferred, TLS 1.2 is spoken, TLS 1.1 is refused', async () => {
    const newest = await openTls(house.port)
    const libest = await openTls(house.port, { maxVersion: 'TLSv1.2' })
    expect([newest.getProtocol(), libest.getProtocol()]).toEqual(['TLSv1.3', 'TLSv1.2'])
    for (const socket of [newest, libest]) socket.destroy()
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const
    await expect(openTls(house.port, old)).rejects.toThrow()
  })

  it('a renewal works over TLS 1.2 and over TLS 1.3', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const device = await house.world.enrol(`version-${version}`)
      const answer = await reenrol(house.port, device, { tls: { minVersion: version, maxVersion: version } })
      expect(answer.status).toBe(200)
    }
  })

  it('the handshake names the authorities whose certificates are accepted, so that a client can choose', async () => {
    const { execFile } = await import('node:child_process')
    const output = await new Promise<string>((resolve) => {
      const child = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${house.port}`], (_error, stdout) =>
        resolve(stdout),
      )
      child.stdin?.end()
    })
    expect(output).toContain('Acceptable client certificate CA names')
    for (const { id } of house.world.ports.authorities.all) expect(id).toBeTruthy()
    expect(output.match(/CN ?= ?Test/g)?.length).toBeGreaterThanOrEqual(2)
  })
})
