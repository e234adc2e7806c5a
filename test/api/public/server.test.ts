import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { copyFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { httpLimits } from '../../../src/api/http/limits.ts'
import { type HttpListener, httpListener } from '../../../src/api/http/listener.ts'
import { createPublicServer } from '../../../src/api/public/server.ts'
import { publishCrl } from '../../../src/lifecycle/publish-crl.ts'
import { revokeCertificate } from '../../../src/lifecycle/revoke-certificate.ts'
import { parseCrl } from '../../../src/pki/crl.ts'
import { encodePem } from '../../../src/protocol/pem.ts'
import { requireTool } from '../../support/tools.ts'
import { day, makeWorld, type World } from '../../support/world.ts'
import { call, openTcp, untilClosed } from '../support/client.ts'
import { eventually, recordedLog } from '../support/house.ts'
import { uncaughtDuring } from '../support/uncaught.ts'

let world: World
let server: HttpListener
let port: number
const log = recordedLog()
const issuing = 'issuing-g1'
beforeAll(async () => {
  world = await makeWorld({ start: Math.floor(Date.now() / 1000) * 1000 })
  server = createPublicServer({ ports: world.ports, log, limits: { headersTimeout: 300, checkInterval: 50 } })
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port
  await publish()
})
afterAll(async () => {
  await server.close(1_000)
  await world.stop()
})

const publish = () => publishCrl({ authority: issuing, shard: 0, force: true }, world.ports)
const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  call({ port, path, headers, method, plain: true })
const crl = `/crl/${issuing}/0.crl`

describe('the CRL', () => {
  it('comes as DER that verifies, with the headers that caches need', async () => {
    const answer = await get(crl)
    expect(answer.status).toBe(200)
    const parsed = parseCrl(answer.bytes)
    const now = world.clock.now()
    expect(answer.rawHeaders).toMatchObject({
      'Content-Type': 'application/pkix-crl',
      'Content-Length': String(answer.bytes.length),
      'Last-Modified': new Date(parsed.thisUpdate).toUTCString(),
      'Cache-Control': 'public, max-age=300',
      Expires: new Date(now + 300_000).toUTCString(),
      ETag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    })
  })

  it.skipIf(!requireTool('openssl'))('is one that OpenSSL verifies with the chain served beside it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'everleaf-public-'))
    writeFileSync(join(folder, 'crl.der'), (await get(crl)).bytes)
    const chain = await Promise.all([get(`/ca/${issuing}.cer`), get('/ca/root-g1.cer')])
    writeFileSync(join(folder, 'ca.pem'), chain.map(({ bytes }) => encodePem('CERTIFICATE', bytes)).join(''))
    const options = [
      'crl',
      '-inform',
      'DER',
      '-in',
      join(folder, 'crl.der'),
      '-CAfile',
      join(folder, 'ca.pem'),
      '-noout',
    ]
    const { status, stderr } = spawnSync('openssl', options, { encoding: 'utf8' })
    rmSync(folder, { recursive: true })
    expect([status, stderr.trim()]).toEqual([0, 'verify OK'])
  })

  it('is not sent again to whoever has it: 304 by ETag or by date, the ETag deciding', async () => {
    const { rawHeaders } = await get(crl)
    const etag = rawHeaders.ETag ?? ''
    const modified = rawHeaders['Last-Modified'] ?? ''
    const status = async (headers: Record<string, string>) => (await get(crl, headers)).status
    expect(await status({ 'If-None-Match': etag })).toBe(304)
    expect(await status({ 'If-None-Match': '*' })).toBe(304)
    expect(await status({ 'If-Modified-Since': modified })).toBe(304)
    expect(await status({ 'If-Modified-Since': new Date(world.clock.now() - day).toUTCString() })).toBe(200)
    expect(await status({ 'If-Modified-Since': 'yesterday' })).toBe(200)
    expect(await status({ 'If-None-Match': '"other"', 'If-Modified-Since': modified })).toBe(200)
    const unchanged = await get(crl, { 'If-None-Match': etag })
    expect([unchanged.bytes.length, unchanged.rawHeaders.ETag, unchanged.rawHeaders['Content-Length']]).toEqual([
      0,
      etag,
      undefined,
    ])
  })

  it('answers HEAD with the headers alone', async () => {
    const [whole, head] = await Promise.all([get(crl), get(crl, {}, 'HEAD')])
    expect([head.status, head.bytes.length]).toEqual([200, 0])
    expect(head.rawHeaders['Content-Length']).toBe(whole.rawHeaders['Content-Length'])
  })

  it('is the new one as soon as it was published', async () => {
    const { certificate } = await world.enrol('public-1')
    const before = parseCrl((await get(crl)).bytes)
    await revokeCertificate({ key: certificate, reason: 'keyCompromise' }, world.ports)
    await publish()
    const after = parseCrl((await get(crl)).bytes)
    expect(after.number).toBeGreaterThan(before.number)
    expect([...after.entries()].map(({ serial }) => serial)).toEqual([certificate.serial])
  })

  it('is kept by caches no longer than it is valid', async () => {
    const start = world.clock.now()
    const { nextUpdate } = parseCrl((await get(crl)).bytes)
    const age = async (now: number) => {
      world.clock.set(now)
      return (await get(crl)).rawHeaders['Cache-Control']
    }
    expect(await age(nextUpdate - 60_000)).toBe('public, max-age=60')
    expect(await age(nextUpdate + 60_000)).toBe('public, max-age=0')
    world.clock.set(start)
  })

  it('that lies there damaged is never served: the one read before is, or 503 with a reason until it is published again', async () => {
    const good = await get(crl)
    await writeFile(join(world.directory, 'published', 'crl', issuing, '0.crl'), 'not a CRL')
    expect(Buffer.compare((await get(crl)).bytes, good.bytes)).toBe(0)
    const restarted = createPublicServer({ ports: world.ports, log })
    const at = await restarted.listen({ host: '127.0.0.1', port: 0 })
    const read = () => call({ port: at.port, path: crl, plain: true })
    const damaged = await read()
    expect([damaged.status, damaged.json().code, Number(damaged.rawHeaders['Retry-After']) > 0]).toEqual([
      503,
      'unavailable',
      true,
    ])
    expect(damaged.rawHeaders['Cache-Control']).toBe('no-store')
    await publishCrl({ authority: 'root-g1', shard: 0, force: true }, world.ports)
    const published = join(world.directory, 'published', 'crl')
    await copyFile(join(published, 'root-g1', '0.crl'), join(published, issuing, '0.crl'))
    expect((await read()).status).toBe(503)
    await publish()
    expect((await read()).status).toBe(200)
    await restarted.close(1_000)
  })
})

describe('the certificate of an authority', () => {
  it('comes as DER, with an ETag', async () => {
    for (const { id, certificate } of world.ports.authorities.all) {
      const answer = await get(`/ca/${id}.cer`)
      expect(answer.rawHeaders['Content-Type']).toBe('application/pkix-cert')
      expect(Buffer.compare(answer.bytes, certificate.der)).toBe(0)
      expect((await get(`/ca/${id}.cer`, { 'If-None-Match': answer.rawHeaders.ETag ?? '' })).status).toBe(304)
    }
  })

  it('lies where every certificate that was issued says', async () => {
    const { certificate } = await world.enrol('public-2')
    const text = Buffer.from(certificate.der).toString('latin1')
    expect(text).toContain(`http://crl.everleaf.test${crl}`)
    expect(text).toContain(`http://crl.everleaf.test/ca/${issuing}.cer`)
  })
})

describe('nothing else is there', () => {
  it.each([
    '/',
    '/crl/',
    '/crl/other/0.crl',
    `/crl/${issuing}/1.crl`,
    `/crl/${issuing}/00.crl`,
    `/crl/${issuing}/-1.crl`,
    `/crl/${issuing}/0.crl/`,
    '/crl/root-g1/1.crl',
    '/crl/../authority/root-g1.key.pem',
    '/crl/%2e%2e/0.crl',
    '/ca/other.cer',
    '/ca/issuing-g1',
    '/truststore/truststore.pem',
    '/everleaf/v1/check-in',
    '/.well-known/est/cacerts',
  ])('%s is 404', async (path) => {
    const answer = await get(path)
    expect([answer.status, answer.rawHeaders['Content-Type']]).toEqual([404, 'application/problem+json'])
  })

  it('other methods are 405, two Host headers 400, a head that drips 408', async () => {
    const posted = await get(crl, {}, 'POST')
    expect([posted.status, posted.rawHeaders.Allow]).toEqual([405, 'GET, HEAD'])
    const twice = await openTcp(port)
    const answer = untilClosed(twice)
    twice.write(`GET ${crl} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`)
    expect(await answer).toMatch(/^HTTP\/1\.1 400 /)
    const slow = await openTcp(port)
    const late = untilClosed(slow)
    slow.write('GET / HTTP/1.1\r\n')
    expect(await late).toMatch(/^HTTP\/1\.1 408 /)
  })
})

describe('CONNECT', () => {
  const tunnel = 'CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n'

  it('is 405 and the end of the connection', async () => {
    const socket = await openTcp(port)
    const answer = untilClosed(socket)
    socket.write(tunnel)
    expect(await answer).toMatch(/^HTTP\/1\.1 405 /)
  })

  it('from a client that breaks off at once does not end the server', async () => {
    const uncaught = await uncaughtDuring(async () => {
      for (let count = 0; count < 30; count += 1) {
        const socket = await openTcp(port)
        socket.write(tunnel)
        socket.resetAndDestroy()
      }
      for (let count = 0; count < 5; count += 1) expect((await get(crl)).status).toBe(200)
    })
    expect(uncaught).toEqual([])
  })

  it('behind another request ends the connection and is not taken for its answer', async () => {
    const socket = await openTcp(port)
    const answer = untilClosed(socket)
    socket.write(`GET ${crl} HTTP/1.1\r\nHost: a\r\n\r\n${tunnel}`)
    expect(await answer).not.toContain('405')
  })
})

describe('requests sent ahead of their answers', () => {
  const some = `GET ${crl} HTTP/1.1\r\nHost: a\r\n\r\n`

  it('are answered in their order, while they are few', async () => {
    const socket = await openTcp(port)
    const answer = untilClosed(socket)
    socket.write(`${some.repeat(15)}GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    const statuses = (await answer).match(/HTTP\/1\.1 \d{3}/g)
    expect(statuses).toEqual([...Array.from({ length: 15 }, () => 'HTTP/1.1 200'), 'HTTP/1.1 404'])
  })

  it('end the connection once they are many, since each holds memory', async () => {
    const before = log.lines.length
    const socket = await openTcp(port)
    const answer = untilClosed(socket)
    socket.write(some.repeat(5_000))
    await answer
    await eventually(() => log.lines.length > before, 'a line in the log')
    const told = log.lines.slice(before)
    expect(told.filter(({ reason }) => reason === 'pipelined')).toHaveLength(1)
    expect(told.length).toBeLessThan(50)
  })

  it('and nonsense behind them end the connection, with nothing mixed into an answer', async () => {
    const socket = await openTcp(port)
    const answer = untilClosed(socket)
    socket.write(`${some}${some}nonsense\r\n\r\n`)
    expect(await answer).not.toContain(' 400 ')
  })
})

it('a large CRL goes to many readers whole, and one that goes away harms nobody', async () => {
  const size = 3_000_000
  const bytes = Uint8Array.from({ length: size }, (_, at) => at % 251)
  const large = httpListener({
    name: 'large',
    server: createServer(),
    answer: async () => ({ status: 200, body: bytes }),
    clock: world.clock,
    log,
    limits: httpLimits,
  })
  const at = await large.listen({ host: '127.0.0.1', port: 0 })
  const readers = await Promise.all(Array.from({ length: 20 }, () => call({ port: at.port, path: '/', plain: true })))
  expect(readers.every((answer) => Buffer.compare(answer.bytes, bytes) === 0)).toBe(true)
  const gone = await openTcp(at.port)
  gone.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await new Promise((resolve) => gone.once('data', resolve))
  gone.destroy()
  await large.close(5_000)
  expect(log.lines.filter(({ level, message }) => level === 'error' && message !== 'request')).toEqual([])
})
