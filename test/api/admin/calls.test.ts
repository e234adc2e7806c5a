import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority, makeLeaf } from '../../support/certificates.ts'
import { day, deviceProfile } from '../../support/world.ts'
import { type AdminHouse, makeAdminHouse } from './house.ts'

let house: AdminHouse
beforeAll(async () => {
  house = await makeAdminHouse()
})
afterAll(() => house.stop())

const rows = (answer: { json(): Record<string, unknown> }, name: string) =>
  answer.json()[name] as Array<Record<string, unknown>>

describe('tokens', () => {
  it('are made with everything that the device needs', async () => {
    const answer = await house.post('/api/v1/tokens', { device: 'device-1', ttl: '2h', labels: { site: 'north' } })
    expect(answer.status).toBe(201)
    const { token, command, fingerprint, ...rest } = answer.json() as Record<string, string>
    const root = house.world.ports.authorities.issuing.chain.at(-1)?.fingerprint
    expect(rest).toEqual({
      device: 'device-1',
      profile: 'device',
      expiresAt: new Date(house.world.clock.now() + 7_200_000).toISOString(),
      server: 'https://everleaf.test:8443',
    })
    expect(fingerprint).toBe(root)
    expect(command).toBe(
      `EVERLEAF_TOKEN=${token} node dist/everleaf-agent.mjs enroll --server https://everleaf.test:8443 --fingerprint ${root} --device device-1 --directory ./device-1`,
    )
  })

  it.each([
    [{}, 'device'],
    [{ device: '../x' }, '1 to 64 letters'],
    [{ device: 'a', ttl: '5' }, 'e.g. 1h'],
    [{ device: 'a', ttl: '99d' }, '30 days'],
    [{ device: 'a', profile: 'nothing' }, 'unknown profile nothing'],
    [{ device: 'a', lables: {} }, 'valid are device, profile, ttl, labels'],
    [{ device: 'a', labels: { site: 5 } }, 'labels.site'],
    [[], 'the body'],
  ])('%j is refused, saying what is wrong', async (body, message) => {
    const answer = await house.post('/api/v1/tokens', body)
    expect([answer.status, answer.json().detail]).toEqual([400, expect.stringContaining(message)])
  })

  it('name their profile where there are several and none is called default', async () => {
    const several = await makeAdminHouse({ profiles: [deviceProfile, { ...deviceProfile, name: 'other' }] })
    const answer = await several.post('/api/v1/tokens', { device: 'a' })
    expect([answer.status, answer.json().detail]).toEqual([400, 'name the profile; there are device, other'])
    await several.stop()
  })
})

describe('devices', () => {
  it('are listed page by page, shown and retired', async () => {
    for (const id of ['list-1', 'list-2', 'list-3']) await house.world.enrol(id)
    const first = await house.get('/api/v1/devices?limit=2&after=list-')
    expect(rows(first, 'devices').map(({ id }) => id)).toEqual(['list-1', 'list-2'])
    expect(first.json().next).toBe('list-2')
    const second = await house.get('/api/v1/devices?limit=2&after=list-2')
    expect([rows(second, 'devices').map(({ id }) => id), second.json().next]).toEqual([['list-3'], null])
    const retired = await house.post('/api/v1/devices/list-3/retire', { reason: 'keyCompromise' })
    expect(retired.json()).toEqual({ revoked: 1 })
    expect((await house.get('/api/v1/devices/list-3')).json()).toMatchObject({ state: 'retired', lastContactAt: null })
    expect(rows(await house.get('/api/v1/devices?state=retired'), 'devices')).toHaveLength(1)
    expect((await house.post('/api/v1/devices/list-3/retire')).json()).toEqual({ revoked: 0 })
    expect((await house.get('/api/v1/devices/nobody')).status).toBe(404)
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=x', 'limit'],
    ['state=gone', 'state'],
    ['colour=red', 'valid are state, after, limit'],
    ['limit=1&limit=2', 'limit'],
  ])('a query with %s is refused', async (query, message) => {
    const answer = await house.get(`/api/v1/devices?${query}`)
    expect([answer.status, answer.json().detail]).toEqual([400, expect.stringContaining(message)])
  })
})

describe('certificates', () => {
  it('are shown with their PEM under any spelling of the serial, explained, and revoked once', async () => {
    const { certificate } = await house.world.enrol('certificate-1')
    const colons = certificate.serial.toUpperCase().match(/../g)?.join(':') ?? ''
    const path = `/api/v1/certificates/${certificate.authority}/${colons}`
    const shown = await house.get(path)
    expect(shown.json()).toMatchObject({
      serial: certificate.serial,
      device: 'certificate-1',
      state: 'delivered',
      notAfter: new Date(certificate.notAfter).toISOString(),
      pem: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
    })
    expect(shown.text).not.toContain('"token"')
    const why = await house.get(`${path}/why`)
    expect((why.json().lines as string[]).join('\n')).toContain('certificate-1')
    const announced = house.changes()
    const revoked = await house.post(`${path}/revoke`, { reason: 'keyCompromise' })
    expect(house.changes()).toBe(announced + 1)
    expect(revoked.json()).toMatchObject({ act: 'revoke', serials: [certificate.serial] })
    expect((await house.post(`${path}/revoke`)).json()).toMatchObject({ act: 'leave', reason: 'already-revoked' })
    expect(
      rows(await house.get('/api/v1/certificates?state=revoked&device=certificate-1'), 'certificates'),
    ).toHaveLength(1)
  })

  it('are listed page by page without loss or repetition', async () => {
    for (let index = 0; index < 5; index += 1) await house.world.enrol(`page-${index}`)
    const all = rows(await house.get('/api/v1/certificates?limit=1000'), 'certificates').map(({ serial }) => serial)
    const seen: unknown[] = []
    for (let next: unknown = ''; next !== null; ) {
      const after = next === '' ? '' : `&after=${encodeURIComponent(String(next))}`
      const page = await house.get(`/api/v1/certificates?limit=3${after}`)
      seen.push(...rows(page, 'certificates').map(({ serial }) => serial))
      next = page.json().next
    }
    expect(seen).toEqual(all)
  })

  it('are found by when they expire', async () => {
    const before = new Date(house.world.clock.now() + 91 * day).toISOString()
    const found = rows(await house.get(`/api/v1/certificates?source=issued&expiresBefore=${before}`), 'certificates')
    expect(found.length).toBeGreaterThan(0)
    const none = await house.get(
      `/api/v1/certificates?expiresBefore=${new Date(house.world.clock.now()).toISOString()}`,
    )
    expect(rows(none, 'certificates')).toEqual([])
    expect((await house.get('/api/v1/certificates?expiresBefore=tomorrow')).json().detail).toContain('ISO 8601')
  })

  it('that do not exist, or whose serial is none, are told apart', async () => {
    expect((await house.get('/api/v1/certificates/issuing-g1/4242')).status).toBe(404)
    expect((await house.get('/api/v1/certificates/issuing-g1/xyz')).status).toBe(400)
    expect((await house.post('/api/v1/certificates/issuing-g1/4242/revoke')).status).toBe(404)
    const { certificate } = await house.world.enrol('reason-1')
    const wrong = await house.post(`/api/v1/certificates/issuing-g1/${certificate.serial}/revoke`, {
      reason: 'certificateHold',
    })
    expect([wrong.status, wrong.json().detail]).toEqual([400, expect.stringContaining('reason')])
  })

  it('of others are imported, duplicates told, nonsense refused', async () => {
    const now = house.world.clock.now()
    const times = { notBefore: now - day, notAfter: now + 20 * day }
    const issuer = makeAuthority({ name: 'Elsewhere', ...times })
    const leaf = makeLeaf({ issuer, subject: 'imported-1', ...times })
    const first = await house.post('/api/v1/certificates/import', { pem: leaf.pem })
    expect(first.json()).toEqual({ imported: [leaf.parsed.serial], duplicates: [] })
    const again = await house.post('/api/v1/certificates/import', { pem: leaf.pem, source: 'partner' })
    expect(again.json()).toEqual({ imported: [], duplicates: [leaf.parsed.serial] })
    expect(rows(await house.get('/api/v1/certificates?source=imported'), 'certificates')).toHaveLength(1)
    expect((await house.post('/api/v1/certificates/import', { pem: 'nothing' })).status).toBe(400)
    const large = await house.post('/api/v1/certificates/import', { pem: `${leaf.pem}${'#'.repeat(200_000)}` })
    expect(large.status).not.toBe(413)
  })
})

describe('what is published', () => {
  it('authorities, CRLs and the truststore are shown, planned and published', async () => {
    const authorities = rows(await house.get('/api/v1/authorities'), 'authorities')
    expect(authorities.map(({ id, issues, signsCrls }) => [id, issues, signsCrls])).toEqual([
      ['issuing-g1', true, true],
      ['root-g1', false, true],
    ])
    expect((await house.get('/api/v1/truststore')).status).toBe(404)
    expect((await house.get('/api/v1/truststore/plan')).json()).toMatchObject({ version: 1, violations: [] })
    expect((await house.post('/api/v1/truststore/publish')).json()).toMatchObject({ act: 'publish', reason: 'first' })
    expect((await house.post('/api/v1/truststore/publish', {})).json()).toMatchObject({ act: 'leave' })
    expect((await house.post('/api/v1/truststore/publish', { force: true })).json()).toMatchObject({ reason: 'forced' })
    expect((await house.post('/api/v1/truststore/rollback', { version: 1 })).status).toBe(200)
    expect((await house.post('/api/v1/truststore/rollback', { version: 99 })).status).toBe(404)
    expect((await house.post('/api/v1/truststore/rollback')).status).toBe(400)
    const live = await house.get('/api/v1/truststore')
    expect(rows(live, 'anchors')).toHaveLength(2)
    for (const { id } of authorities)
      expect((await house.post(`/api/v1/crls/${id}/publish`, { force: true })).json().act).toBe('publish')
    const crls = rows(await house.get('/api/v1/crls'), 'crls')
    expect(crls.map(({ authority, number }) => [authority, typeof number])).toEqual([
      ['issuing-g1', 'string'],
      ['root-g1', 'string'],
    ])
    expect((await house.post('/api/v1/crls/nobody/publish')).status).toBe(404)
    expect((await house.get('/api/v1/gateways')).json()).toEqual({ gateways: [] })
    expect((await house.post('/api/v1/gateways/nobody/sync')).status).toBe(404)
  })
})

describe('what happened', () => {
  it('events come from the newest, or after a sequence', async () => {
    await house.world.enrol('event-1')
    const newest = await house.get('/api/v1/events?limit=2')
    expect(rows(newest, 'events').map(({ detailType }) => detailType)).toEqual([
      'Certificate Issued',
      'Certificate Delivered',
    ])
    const last = newest.json().next as number
    expect((await house.get(`/api/v1/events?after=${last}`)).json()).toEqual({ events: [], next: last })
    const before = await house.get(`/api/v1/events?after=${last - 1}`)
    expect(rows(before, 'events')).toHaveLength(1)
  })

  it('dead letters are shown and put back', async () => {
    let attempts = 0
    const options = { concurrency: 1, attempts: 1, backoff: 1, maxBackoff: 1 }
    house.queue.process('failing', options, async () => {
      attempts += 1
      throw new Error('no luck')
    })
    await house.queue.enqueue({ name: 'failing', id: 'one/of two', payload: { a: 1 } })
    await house.queue.idle()
    const letters = rows(await house.get('/api/v1/dead-letters'), 'deadLetters')
    expect(letters).toMatchObject([{ name: 'failing', id: 'one/of two', payload: { a: 1 }, reason: 'no luck' }])
    const retry = await house.post(`/api/v1/dead-letters/failing/${encodeURIComponent('one/of two')}/retry`)
    expect(retry.json()).toEqual({ retried: true })
    await house.queue.idle()
    expect(attempts).toBe(2)
    expect((await house.post('/api/v1/dead-letters/failing/other/retry')).status).toBe(404)
  })

  it('the status says how things stand', async () => {
    expect((await house.get('/api/v1/status')).json()).toMatchObject({
      version: '9.9.9',
      ready: true,
      listeners: { device: '127.0.0.1:8443' },
      authority: 'issuing-g1',
      profiles: ['device'],
      certificates: expect.objectContaining({ delivered: expect.any(Number) }),
    })
  })

  it('the description of the API names every call, its input and the bearer token', async () => {
    const document = (await house.get('/api/v1/openapi.json')).json() as {
      openapi: string
      paths: Record<string, Record<string, unknown>>
    }
    expect(document.openapi).toMatch(/^3\./)
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining([
        '/api/v1/tokens',
        '/api/v1/certificates/{authority}/{serial}/revoke',
        '/api/v1/events',
        '/readyz',
      ]),
    )
    expect(JSON.stringify(document.paths['/api/v1/tokens'])).toContain('requestBody')
    expect(document).toMatchObject({ components: { securitySchemes: { bearer: { scheme: 'bearer' } } } })
  })
})
