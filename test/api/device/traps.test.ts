import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createToken } from '../../../src/lifecycle/create-token.ts'
import { enrolDevice } from '../../../src/lifecycle/enrol-device.ts'
import { retireDevice } from '../../../src/lifecycle/retire-device.ts'
import { revokeCertificate } from '../../../src/lifecycle/revoke-certificate.ts'
import { parseCsr } from '../../../src/pki/csr.ts'
import { encodeBase64Lines } from '../../../src/protocol/base64.ts'
import { encodePem } from '../../../src/protocol/pem.ts'
import { makeAuthority, makeCsr, makeLeaf } from '../../support/certificates.ts'
import { requireTool } from '../../support/tools.ts'
import { day, deviceProfile } from '../../support/world.ts'
import { call, openTls, sessionOf, untilClosed } from '../support/client.ts'
import { basic, csrBody, reenrol, simpleenroll, simplereenroll } from '../support/est.ts'
import { type House, identityOf, makeHouse } from '../support/house.ts'

let house: House
beforeAll(async () => {
  const short = { ...deviceProfile, name: 'short', validity: 600_000 }
  const graceful = { ...short, name: 'graceful', renewal: { ...short.renewal, grace: day } }
  house = await makeHouse({ profiles: [deviceProfile, short, graceful] })
  await house.publish()
})
afterAll(() => house.stop())

const checkIn = JSON.stringify({
  agent: 'test/1',
  time: '2027-01-01T00:00:00Z',
  trustAnchors: null,
  crl: null,
  error: null,
})
const contact = (more: Partial<Parameters<typeof call>[0]>) =>
  call({
    port: house.port,
    method: 'POST',
    path: '/everleaf/v1/check-in',
    headers: { 'Content-Type': 'application/json' },
    body: checkIn,
    ...more,
  })
const revoke = (key: { authority: string; serial: string }) =>
  revokeCertificate({ key, reason: 'keyCompromise' }, house.world.ports)

describe('who it is is decided for every request:', () => {
  it("a revocation ends an open connection's rights", async () => {
    const device = await house.world.enrol('open-1')
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...identityOf(device) })
    expect((await contact({ agent })).status).toBe(200)
    await revoke(device.certificate)
    const after = await contact({ agent })
    expect([after.status, after.json().detail]).toEqual([403, expect.stringContaining('is revoked')])
    agent.destroy()
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('a revocation ends the rights of a resumed %s session', async (version) => {
    const device = await house.world.enrol(`resumed-${version}`)
    const options = { ...identityOf(device), minVersion: version, maxVersion: version }
    const request = `GET /everleaf/v1/trust-anchors HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
    const first = await openTls(house.port, options)
    const session = sessionOf(first)
    const welcomed = untilClosed(first)
    first.write(request)
    expect(await welcomed).toMatch(/^HTTP\/1\.1 200 /)
    await revoke(device.certificate)
    const resumed = await openTls(house.port, { ...options, session: await session })
    expect(resumed.isSessionReused()).toBe(true)
    const refused = untilClosed(resumed)
    resumed.write(request)
    expect(await refused).toMatch(/^HTTP\/1\.1 403 /)
  })

  it('a retired device gets nothing more', async () => {
    const device = await house.world.enrol('retired-1')
    await retireDevice({ device: device.id, reason: 'cessationOfOperation' }, house.world.ports)
    expect((await contact({ identity: identityOf(device) })).status).toBe(403)
    expect((await reenrol(house.port, device)).status).toBe(403)
  })
})

describe('a token', () => {
  const attempt = async (authorization: string, device: string) =>
    simpleenroll({ port: house.port, body: await csrBody(device), headers: { Authorization: authorization } })

  it('is refused with anything before or after it, in part, or empty', async () => {
    const device = 'token-1'
    const token = await house.token(device)
    const encode = (text: string) => `Basic ${Buffer.from(text, 'latin1').toString('base64')}`
    const wrong = [
      `${token}\0`,
      `${token}\0x`,
      `${token}x`,
      `${token} `,
      ` ${token}`,
      token.slice(0, -1),
      token.slice(1),
      '',
      '\0',
      token.toUpperCase(),
      `x:${token}`,
    ]
    for (const password of wrong) {
      const answer = await attempt(encode(`${device}:${password}`), device)
      expect([password === '' ? 'empty' : 'wrong', answer.status]).toEqual([password === '' ? 'empty' : 'wrong', 401])
    }
    for (const header of [
      `Bearer ${token}`,
      `Basic ${token}`,
      'Basic',
      'Basic !!!',
      encode(token),
      encode(''),
      encode(`\xff:${token}`),
    ])
      expect((await attempt(header, device)).status).toBe(401)
    expect((await attempt(basic(token, 'another-device'), device)).status).toBe(401)
    expect((await attempt(basic(token, device), device)).status).toBe(200)
  })

  it('works once, for one key; the same key gets the same certificate again', async () => {
    const token = await house.token('token-2')
    const body = await csrBody('token-2')
    const first = await simpleenroll({ port: house.port, token, body })
    const repeated = await simpleenroll({ port: house.port, token, body })
    expect(repeated.text).toBe(first.text)
    expect((await simpleenroll({ port: house.port, token, body: await csrBody('token-2') })).status).toBe(401)
  })

  it('is refused after it expired', async () => {
    const ports = {
      ...house.world.ports,
      clock: { ...house.world.clock, now: () => house.world.clock.now() - 7_200_000 },
    }
    const { token } = await createToken({ device: 'token-3', profile: 'device', ttl: 3_600_000, labels: {} }, ports)
    const answer = await simpleenroll({ port: house.port, token, body: await csrBody('token-3') })
    expect([answer.status, answer.rawHeaders['Everleaf-Problem']]).toEqual([401, expect.stringContaining('expired')])
  })

  it('never appears in the log, nor does the Authorization header', async () => {
    const token = await house.token('token-4')
    for (const password of [token, `${token}x`])
      await simpleenroll({ port: house.port, token: password, body: await csrBody('token-4') })
    const text = JSON.stringify(house.log.lines)
    expect(text).toContain('token-4')
    expect(text).not.toContain(token)
    expect(text).not.toContain(basic(token).slice(6, 40))
    expect(text.toLowerCase()).not.toContain('"authorization"')
  })
})

describe('refused with a clear message', () => {
  it('a password at simplereenroll, with a certificate or without', async () => {
    const device = await house.world.enrol('password-1')
    const token = await house.token('password-1')
    const both = await reenrol(house.port, device, { token })
    expect([both.status, both.text]).toEqual([403, expect.stringContaining('no password')])
    expect((await simplereenroll({ port: house.port, token, body: await csrBody('password-1') })).status).toBe(401)
  })

  it("a device certificate at simpleenroll, for its own name or another's, with a token or without", async () => {
    const device = await house.world.enrol('certificate-1')
    const identity = identityOf(device)
    for (const name of ['certificate-1', 'certificate-2'])
      for (const token of [undefined, await house.token(name)]) {
        const answer = await simpleenroll({ port: house.port, identity, token, body: await csrBody(name) })
        expect([answer.status, answer.text]).toEqual([403, expect.stringContaining('no client certificate')])
      }
  })

  it('a renewal under another name', async () => {
    const device = await house.world.enrol('name-1')
    const answer = await reenrol(house.port, device, { body: await csrBody('name-2') })
    expect(answer.status).toBe(400)
  })

  it('no certificate, a foreign one, one that only looks like ours, and a CA as client', async () => {
    const now = house.world.clock.now()
    const times = { notBefore: now - day, notAfter: now + day }
    const foreign = makeAuthority({ name: 'Foreign', ...times })
    const { issuing } = house.world.ports.authorities
    const twin = makeAuthority({
      name: 'Twin',
      ...times,
      content: { subject: issuing.certificate.subject, issuer: issuing.certificate.subject },
    })
    const strangers = [
      makeLeaf({ issuer: foreign, subject: 'stranger-1', ...times }),
      makeLeaf({
        issuer: twin,
        subject: 'stranger-2',
        ...times,
        content: { authorityKeyIdentifier: issuing.certificate.subjectKeyIdentifier ?? null },
      }),
      foreign,
    ]
    expect((await contact({})).status).toBe(401)
    for (const { pem, privateKeyPem } of strangers) {
      const identity = { cert: pem, key: privateKeyPem }
      expect((await contact({ identity })).status).toBe(401)
      expect((await simplereenroll({ port: house.port, identity, body: await csrBody('stranger-1') })).status).toBe(401)
    }
  })

  it("an authority of this server as client, although it holds that key's certificate", async () => {
    const { directory, ports } = house.world
    const key = readFileSync(join(directory, 'authority', 'issuing-g1.key.pem'), 'utf8')
    const cert = encodePem('CERTIFICATE', ports.authorities.issuing.certificate.der)
    const tls = { key, cert, passphrase: 'a passphrase for tests' }
    const answer = await contact({ tls })
    expect([answer.status, answer.json().detail]).toEqual([403, expect.stringContaining('not issued to a device')])
    expect((await simplereenroll({ port: house.port, tls, body: await csrBody('ca-1') })).status).toBe(403)
  })

  it.skipIf(!requireTool('openssl'))('a client certificate that cannot be read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'everleaf-odd-'))
    const file = (name: string) => join(folder, name)
    const make = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=odd',
      '-days',
      '3',
    ]
    execFileSync('openssl', [...make, '-set_serial', '-5', '-keyout', file('key.pem'), '-out', file('odd.pem')], {
      stdio: 'pipe',
    })
    const identity = { key: readFileSync(file('key.pem'), 'utf8'), cert: readFileSync(file('odd.pem'), 'utf8') }
    rmSync(folder, { recursive: true })
    const answer = await contact({ identity })
    expect([answer.status, answer.json().detail]).toEqual([401, expect.stringContaining('not accepted')])
    expect((await call({ port: house.port, path: '/.well-known/est/csrattrs', identity })).status).toBe(200)
  })

  it('an expired certificate, but for a renewal within the grace of its profile', async () => {
    const { ports, clock } = house.world
    const past = { ...ports, clock: { ...clock, now: () => clock.now() - 1_800_000 } }
    const expired = async (id: string, profile: string) => {
      const { token } = await createToken({ device: id, profile, ttl: 3_600_000, labels: {} }, past)
      const { der, key } = await makeCsr({ subject: id })
      const certificate = await enrolDevice({ user: '', token, label: null, csr: parseCsr(der) }, past)
      return { id, certificate, key }
    }
    const strict = await expired('expired-1', 'short')
    const graced = await expired('expired-2', 'graceful')
    expect((await reenrol(house.port, strict)).status).toBe(403)
    const early = await contact({ identity: identityOf(graced) })
    expect([early.status, early.json().detail]).toEqual([403, expect.stringContaining('expired')])
    expect((await reenrol(house.port, graced)).status).toBe(200)
  })
})

describe.skipIf(!requireTool('openssl'))('a request made by OpenSSL is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-weak-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const make = (...options: string[]) => {
    const out = join(folder, 'weak.der')
    const common = [
      'req',
      '-new',
      '-nodes',
      '-keyout',
      join(folder, 'weak.pem'),
      '-subj',
      '/CN=weak-1',
      '-outform',
      'DER',
      '-out',
      out,
    ]
    execFileSync('openssl', [...common, ...options], { stdio: 'pipe' })
    return encodeBase64Lines(readFileSync(out))
  }
  const weak: Array<[string, string[]]> = [
    ['with RSA-512', ['-newkey', 'rsa:512']],
    ['with RSA-1024', ['-newkey', 'rsa:1024']],
    ['with the exponent 3', ['-newkey', 'rsa:2048', '-pkeyopt', 'rsa_keygen_pubexp:3']],
    ['with SHA-1', ['-newkey', 'rsa:2048', '-sha1']],
    ['with MD5', ['-newkey', 'rsa:2048', '-md5']],
    ['with P-192', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-192']],
    ['with secp256k1', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']],
    [
      'with explicit curve parameters',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'],
    ],
    ['with Ed25519', ['-newkey', 'ed25519']],
  ]
  it.each(weak)('%s', async (_, options) => {
    const answer = await simpleenroll({ port: house.port, token: await house.token('weak-1'), body: make(...options) })
    expect([answer.status, answer.rawHeaders['Content-Type']]).toEqual([400, 'text/plain; charset=utf-8'])
    expect(answer.text.length).toBeGreaterThan(30)
  })
})
