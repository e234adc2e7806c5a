import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call, openTcp, untilClosed } from '../support/client.ts'
import { type AdminHouse, adminToken, makeAdminHouse } from './house.ts'

let house: AdminHouse
beforeAll(async () => {
  house = await makeAdminHouse()
})
afterAll(() => house.stop())

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })
const plain = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  call({ port: house.port, plain: true, path, headers, method })

describe('without the token', () => {
  it('the probes and the description of the API answer, and nothing else', async () => {
    for (const path of ['/healthz', '/readyz', '/api/v1/openapi.json']) expect((await plain(path)).status).toBe(200)
    for (const path of [
      '/',
      '/metrics',
      '/api/v1/status',
      '/api/v1/devices',
      '/api/v1/nothing',
      '/healthz/x',
      '/healthz?x=1&/../status',
    ])
      expect([path, (await plain(path)).status]).toEqual([path, path.startsWith('/healthz?') ? 200 : 401])
  })

  it('a 401 is a problem document with the Bearer challenge', async () => {
    const answer = await plain('/api/v1/status')
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="everleaf"')
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.json()).toMatchObject({ status: 401, title: 'Unauthorized', code: 'unauthenticated' })
  })

  it.each([
    ['another token', bearer('another-token')],
    ['a part of it', bearer(adminToken.slice(0, -1))],
    ['more than it', bearer(`${adminToken}x`)],
    ['nothing', { Authorization: 'Bearer' }],
    ['another scheme', { Authorization: `Basic ${adminToken}` }],
    ['its hash', bearer('a'.repeat(64))],
    ['the token in the query', {}],
  ])('%s does not help', async (name, headers) => {
    const query = name.includes('query') ? `?access_token=${adminToken}` : ''
    expect((await plain(`/api/v1/status${query}`, headers)).status).toBe(401)
  })

  it('the scheme is written in any case', async () => {
    expect((await plain('/api/v1/status', { Authorization: `bearer ${adminToken}` })).status).toBe(200)
  })
})

describe('the Host header', () => {
  it.each([
    ['localhost', 200],
    ['localhost:9999', 200],
    ['127.0.0.1', 200],
    ['[::1]:8444', 200],
    ['admin.everleaf.test', 200],
    ['ADMIN.everleaf.test:8444', 200],
    ['evil.test', 403],
    ['127.0.0.1.evil.test', 403],
    ['localhost.evil.test', 403],
    ['admin.everleaf.test.evil.test', 403],
    ['[::1].evil.test', 403],
  ])('%s gets %i', async (host, status) => {
    const answer = await plain('/api/v1/status', { ...bearer(adminToken), Host: host })
    expect(answer.status).toBe(status)
    if (status === 403) expect(answer.json().detail).toContain('admin.everleaf.test')
  })

  it('of another name does not reach the probes either', async () => {
    expect((await plain('/healthz', { Host: 'evil.test' })).status).toBe(403)
  })
})

describe('whatever a client sends', () => {
  it('is a 4xx in the form of a problem document', async () => {
    expect(await house.get('/api/v1/nothing')).toMatchObject({
      status: 404,
      headers: { 'content-type': expect.stringContaining('application/problem+json') },
    })
    expect((await house.get('/api/v1/certificates/%zz/00')).status).toBe(400)
    const wrong = await house.post('/api/v1/tokens', undefined, {
      headers: { ...bearer(adminToken), 'Content-Type': 'text/plain' },
      body: 'x',
    })
    expect([wrong.status, wrong.json().status]).toEqual([415, 415])
    const broken = await house.post('/api/v1/tokens', undefined, {
      headers: { ...bearer(adminToken), 'Content-Type': 'application/json' },
      body: '{',
    })
    expect([broken.status, broken.json().code]).toEqual([400, 'bad-input'])
    const large = await house.post('/api/v1/tokens', { device: 'x'.repeat(70_000) })
    expect(large.status).toBe(413)
    const socket = await openTcp(house.port)
    const answer = untilClosed(socket)
    socket.write('GET / HTTP/9\r\n\r\n')
    expect(await answer).toMatch(/^HTTP\/1\.1 400 /)
    const twice = await openTcp(house.port)
    const refused = untilClosed(twice)
    twice.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\nConnection: close\r\n\r\n')
    expect(await refused).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('never is a 500', async () => {
    const json = fc.json({ maxDepth: 3 })
    const segment = fc.oneof(
      fc.constantFrom('issuing-g1', 'root-g1', '00', '-1', '%00', '..', 'import'),
      fc.string({ maxLength: 12 }).map(encodeURIComponent),
    )
    const path = fc.oneof(
      fc.constantFrom(
        '/api/v1/tokens',
        '/api/v1/certificates/import',
        '/api/v1/truststore/publish',
        '/api/v1/truststore/rollback',
      ),
      fc.tuple(segment, segment).map(([first, second]) => `/api/v1/certificates/${first}/${second}/revoke`),
      segment.map((id) => `/api/v1/devices/${id}/retire`),
      fc.tuple(segment, segment).map(([name, id]) => `/api/v1/dead-letters/${name}/${id}/retry`),
      segment.map((name) => `/api/v1/gateways/${name}/sync`),
      segment.map((name) => `/api/v1/crls/${name}/publish`),
    )
    await fc.assert(
      fc.asyncProperty(path, json, async (where, body) => {
        const headers = { ...bearer(adminToken), 'Content-Type': 'application/json' }
        const { status } = await call({ port: house.port, plain: true, path: where, method: 'POST', headers, body })
        expect(status).toBeLessThan(500)
      }),
      { numRuns: 200 },
    )
    const query = fc.tuple(
      fc.constantFrom('limit', 'after', 'state', 'device', 'expiresBefore', 'source', 'x'),
      fc.string({ maxLength: 20 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('devices', 'certificates', 'events'), query, async (list, [name, value]) => {
        const { status } = await house.get(`/api/v1/${list}?${name}=${encodeURIComponent(value)}`)
        expect(status).toBeLessThan(500)
      }),
      { numRuns: 200 },
    )
    expect(house.log.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('the log holds neither the token nor the Authorization header', () => {
    const text = JSON.stringify(house.log.lines)
    expect(house.log.lines.length).toBeGreaterThan(100)
    expect(text).not.toContain(adminToken)
    expect(text.toLowerCase()).not.toContain('authorization')
  })
})

describe('probes and metrics', () => {
  it('ready says what is missing, with 503', async () => {
    house.readiness.ready = false
    house.readiness.reasons = ['no CRL of root-g1 was published']
    const answer = await plain('/readyz')
    expect([answer.status, answer.json()]).toEqual([
      503,
      { ready: false, reasons: ['no CRL of root-g1 was published'] },
    ])
    expect((await plain('/healthz')).json()).toEqual({ alive: true })
    house.readiness.ready = true
    house.readiness.reasons = []
  })

  it('metrics come in the form that Prometheus reads', async () => {
    const answer = await house.get('/metrics')
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  })
})
