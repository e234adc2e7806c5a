import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodePem } from '../../src/protocol/pem.ts'
import { type ClientAnswer, type ClientIdentity, call } from '../api/support/client.ts'
import { basic, certificatesIn, sanOf } from '../api/support/est.ts'
import { makeAuthority, makeCsr, makeKey, makeLeaf, type TestKey } from '../support/certificates.ts'
import { runProgram, type Server, startServer, until } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'

/** Bad input at a real server: a status, words that say what is wrong, and nothing that changed. */

const san = { uri: ['spiffe://everleaf.test/device/{device}'] }
let server: Server
let good: Held
let revoked: Held
let expired: Held
beforeAll(async () => {
  server = await startServer({
    settings: {
      profiles: { device: { san }, brief: { san, validity: '1s', alerts: { expiry: [] } } },
      log: { level: 'warn' },
    },
  })
  good = await enrol('good', 'device')
  revoked = await enrol('revoked', 'device')
  expired = await enrol('expired', 'brief')
  // Its first use is a change, so it lies before every refusal.
  await call({ port: server.ports.device, path: '/.well-known/est/csrattrs', identity: good })
  const [row] = await server.certificates('revoked')
  await server.admin(`certificates/issuing-g1/${row?.serial}/revoke`, {})
  await until('the revocation is published', async () => {
    const { crls } = await server.admin<{ crls: Array<{ entries: number }> }>('crls')
    return crls.some(({ entries }) => entries > 0)
  })
  await until('a certificate expired', async () => (await server.certificates('expired'))[0]?.state === 'expired')
})
afterAll(() => server.stop())

interface Held extends ClientIdentity {
  device: string
}

const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64')
const csrOf = async (device: string, key: TestKey = makeKey()): Promise<Uint8Array> =>
  (await makeCsr({ subject: device, san: sanOf(device), key })).der

interface Asked {
  token?: string
  user?: string
  identity?: ClientIdentity
  type?: string
  label?: string
}

const post = (operation: string, body: string | Uint8Array, { token, user, identity, type, label }: Asked = {}) =>
  call({
    port: server.ports.device,
    method: 'POST',
    path: `/.well-known/est/${label === undefined ? '' : `${label}/`}${operation}`,
    headers: {
      'Content-Type': type ?? 'application/pkcs10',
      ...(token === undefined ? {} : { Authorization: basic(token, user) }),
    },
    body,
    identity,
  })
const enrolWith = (body: string | Uint8Array, asked: Asked) => post('simpleenroll', body, asked)
const renewWith = (body: string | Uint8Array, asked: Asked) => post('simplereenroll', body, asked)

const enrol = async (device: string, profile: string): Promise<Held> => {
  const key = makeKey()
  const token = await server.token(device, profile)
  const answer = await enrolWith(base64(await csrOf(device, key)), { token })
  if (answer.status !== 200) throw new Error(answer.text)
  const [der = new Uint8Array()] = certificatesIn(answer)
  return {
    device,
    cert: encodePem('CERTIFICATE', der),
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** What a refusal may not change: the inventory, and what was told to the outside. */
const facts = async () => {
  // That a certificate went out is recorded after its answer.
  const certificates = await until('every answer is recorded', async () => {
    const status = await server.admin<{ certificates: Record<string, number> }>('status')
    return status.certificates.issued === 0 ? status.certificates : null
  })
  const { events } = await server.admin<{ events: Array<{ sequence: number }> }>('events?limit=1')
  return { certificates, last: events[0]?.sequence }
}

const refusalOf = ({ status, text, headers }: ClientAnswer): string =>
  `${status} ${text.trim()}${headers['everleaf-problem'] ?? ''}`

const opensslCsr = async (...key: string[]): Promise<Uint8Array> => {
  const file = join(server.directory, `${key.join('-').replaceAll(/\W/g, '-')}.csr`)
  const made = await runProgram(
    [
      'openssl',
      'req',
      '-new',
      '-nodes',
      '-keyout',
      `${file}.key`,
      '-subj',
      '/CN=weak',
      '-outform',
      'DER',
      '-out',
      file,
    ].concat(key),
  )
  if (made.code !== 0) throw new Error(made.err)
  return new Uint8Array(await readFile(file))
}

const broken = (der: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(der)
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
}

type Kind = 'enrolment' | 'renewal'
interface BadBody {
  name: string
  make(): Promise<string | Uint8Array>
  /** What is answered, by kind where that differs. */
  words: RegExp | Record<Kind, RegExp>
  type?: string
  openssl?: true
}

const otherNames = (what: string) => ({
  enrolment: new RegExp(`^400 ${what} .* is not this device's; it may ask for .*new`),
  renewal: /^400 subject and subject alternative name must equal those of certificate/,
})

const bodies: BadBody[] = [
  {
    name: 'cut off',
    make: async () => base64((await csrOf('new')).slice(0, -20)),
    words: /^400 CSR: DER at 0: claims \d+ octets of content where \d+ are left/,
  },
  {
    name: 'with something behind it',
    make: async () => base64(Buffer.concat([await csrOf('new'), Buffer.from([0])])),
    words: /^400 CSR: DER: 1 octets follow the value/,
  },
  {
    name: 'larger than 64 KiB',
    make: async () => base64(Buffer.concat([await csrOf('new'), Buffer.alloc(66_000)])),
    words: /^400 CSR: DER: 66\d{3} octets; 65536 at most/,
  },
  {
    name: 'larger than anybody reads',
    make: async () => 'A'.repeat(3_000_000),
    words: /^413 the body has 3000000 bytes, at most 98304 are read/,
  },
  {
    name: 'that is no DER',
    make: async () => base64(Buffer.from('GET / HTTP/1.1 is no certificate request')),
    words: /^400 CSR: DER at 0: claims/,
  },
  {
    name: 'that is no base64',
    make: async () => 'MIIB*ad request',
    words: /^400 the body is not the base64 of a PKCS #10 request: .*U\+002a at 4/,
  },
  { name: 'in plain DER', make: () => csrOf('new'), words: /^400 the body is plain DER; EST wants the base64/ },
  {
    name: 'in PEM',
    make: async () => encodePem('CERTIFICATE REQUEST', await csrOf('new')),
    words: /^400 the body is PEM; EST wants its base64 alone/,
  },
  { name: 'with nothing in it', make: async () => '', words: /^400 the body is empty/ },
  {
    name: 'of another media type',
    make: async () => base64(await csrOf('new')),
    words: /^415 the Content-Type is "application\/pkcs7-mime", it must be application\/pkcs10/,
    type: 'application/pkcs7-mime',
  },
  {
    name: 'with a bad signature',
    make: async () => base64(broken(await csrOf('new'))),
    words: /^400 CSR: the ecdsa-sha256 signature is not one of the ec-p256 key in it/,
  },
  {
    name: 'with a key of RSA-1024',
    make: async () => base64(await opensslCsr('-newkey', 'rsa:1024')),
    words: /^400 public key: RSA-1024, which is weak; accepted: RSA of 2048/,
    openssl: true,
  },
  {
    name: 'with a key on P-192',
    make: async () => base64(await opensslCsr('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime192v1')),
    words: /^400 public key: elliptic curve P-192; accepted: /,
    openssl: true,
  },
  {
    name: 'signed with SHA-1',
    make: async () => base64(await opensslCsr('-newkey', 'rsa:2048', '-sha1')),
    words: /^400 CSR: signed by RSA with SHA-1; accepted: /,
    openssl: true,
  },
  { name: 'for another subject', make: async () => base64(await csrOf('other')), words: otherNames('subject') },
  {
    name: 'for another alternative name',
    make: async () => base64((await makeCsr({ subject: 'new', san: sanOf('other') })).der),
    words: otherNames('subject alternative name'),
  },
]

describe.each(['enrolment', 'renewal'] as const)('a request for %s', (kind) => {
  test.each(bodies)('$name is refused, and nothing changed', async ({ make, words, type, openssl }) => {
    if (openssl && !requireTool('openssl')) return
    const body = await make()
    const token = await server.token('new', 'device')
    const before = await facts()
    const answer =
      kind === 'enrolment' ? await enrolWith(body, { token, type }) : await renewWith(body, { identity: good, type })
    expect(refusalOf(answer)).toMatch(words instanceof RegExp ? words : words[kind])
    expect(await facts()).toEqual(before)
  })
})

describe('a renewal', () => {
  const foreign = (): ClientIdentity => {
    const now = Math.floor(Date.now() / 1_000) * 1_000
    const [notBefore, notAfter] = [now - 3_600_000, now + 3_600_000]
    const issuer = makeAuthority({ name: 'Everleaf Issuing CA', notBefore, notAfter })
    const leaf = makeLeaf({ issuer, subject: 'good', san: sanOf('good'), notBefore, notAfter })
    return { cert: leaf.pem, key: leaf.privateKeyPem }
  }

  const clients: Array<[string, () => Asked, RegExp]> = [
    [
      'an expired certificate',
      () => ({ identity: expired }),
      /^403 certificate \w+ expired at .*, it is .*; enrol the device again/,
    ],
    ['a revoked certificate', () => ({ identity: revoked }), /^403 certificate \w+ is revoked/],
    ['a certificate of another CA', () => ({ identity: foreign() }), /^401 .*was not issued here/],
    ['no certificate', () => ({}), /^401 .*needs a client certificate in the TLS handshake; none was presented/],
    ['a token instead of a certificate', () => ({ token: 'x'.repeat(32) }), /^401 .*needs a client certificate/],
    [
      'the label of another profile',
      () => ({ identity: good, label: 'brief' }),
      /^403 .*is of profile device, the path asks for brief/,
    ],
    [
      'a label of no profile',
      () => ({ identity: good, label: 'nothing' }),
      /^404 the label in this path is no profile/,
    ],
  ]
  test.each(clients)('with %s is refused, and nothing changed', async (_, asked, words) => {
    const before = await facts()
    const answer = await renewWith(base64(await csrOf('good')), asked())
    expect(refusalOf(answer)).toMatch(words)
    expect(await facts()).toEqual(before)
  })
})

describe('an enrolment', () => {
  test('with a token that was used, by another key, is refused', async () => {
    const token = await server.token('twice', 'device')
    expect((await enrolWith(base64(await csrOf('twice')), { token })).status).toBe(200)
    const before = await facts()
    const answer = await enrolWith(base64(await csrOf('twice')), { token })
    expect(refusalOf(answer)).toMatch(/^401 .*was used at .* with another key; make a new one/)
    expect(await facts()).toEqual(before)
  })

  test('with a token that expired is refused', async () => {
    const { token, expiresAt } = await server.admin<{ token: string; expiresAt: string }>('tokens', {
      device: 'late',
      profile: 'device',
      ttl: '1s',
    })
    await until('the token expired', () => Date.now() > Date.parse(expiresAt))
    const before = await facts()
    const answer = await enrolWith(base64(await csrOf('late')), { token })
    expect(refusalOf(answer)).toMatch(/^401 .*expired at .*, it is .*; make a new one/)
    expect(await facts()).toEqual(before)
  })

  test.each([
    ['an unknown token', { token: 'y'.repeat(32) }, /^401 .*is not known/],
    ['no token', {}, /^401 .*needs the one-time token/],
  ])('with %s is refused', async (_, asked, words) => {
    const before = await facts()
    expect(refusalOf(await enrolWith(base64(await csrOf('new')), asked))).toMatch(words)
    expect(await facts()).toEqual(before)
  })

  test('with the token of another device, or under the label of another profile, is refused, and the token stays good', async () => {
    const token = await server.token('mine', 'device')
    const before = await facts()
    const body = base64(await csrOf('mine'))
    expect(refusalOf(await enrolWith(body, { token, user: 'yours' }))).toMatch(/^401 .*belongs to another device/)
    expect(refusalOf(await enrolWith(body, { token, label: 'brief' }))).toMatch(/^403 .*is for profile device/)
    expect(await facts()).toEqual(before)
    expect((await enrolWith(body, { token, user: 'mine' })).status).toBe(200)
  })
})

describe('an operator who asks for', () => {
  const asks: Array<[string, string, object, RegExp]> = [
    [
      'a token under an unknown profile',
      'tokens',
      { device: 'a', profile: 'devise' },
      /400 .*unknown profile devise; there are device, brief/,
    ],
    ['a token for a name that is none', 'tokens', { device: '../a', profile: 'device' }, /400 .*letters, digits/],
    ['a token with a bad unit', 'tokens', { device: 'a', profile: 'device', ttl: '1hour' }, /400 .*one of s, m, h, d/],
    [
      'the revocation of an unknown certificate',
      'certificates/issuing-g1/4fff/revoke',
      {},
      /404 .*no certificate 4fff/,
    ],
    ['the import of something else', 'certificates/import', { pem: 'hello' }, /400 .*no block of CERTIFICATE found/],
    [
      'the import of a certificate that is cut off',
      'certificates/import',
      { pem: '-----BEGIN CERTIFICATE-----\nMIIB\n' },
      /400 /,
    ],
  ]
  test.each(asks)('%s is refused, and nothing changed', async (_, path, body, words) => {
    const before = await facts()
    await expect(server.admin(path, body)).rejects.toThrow(words)
    expect(await facts()).toEqual(before)
  })
})
