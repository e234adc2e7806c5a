import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRenewal } from '../../../src/lifecycle/open-renewal.ts'
import { serialToBytes } from '../../../src/pki/serial.ts'
import { certificateId } from '../../../src/protocol/renewal-info.ts'
import { call } from '../support/client.ts'
import { reenrol } from '../support/est.ts'
import { holdTransactions } from '../support/hold.ts'
import { eventually, type House, identityOf, makeHouse } from '../support/house.ts'

const door = holdTransactions()
let house: House
beforeAll(async () => {
  house = await makeHouse({ wrap: door.wrap })
  await house.publish()
})
afterAll(() => house.stop())

const checkIn = (more: Partial<Parameters<typeof call>[0]> = {}, body: Record<string, unknown> = {}) =>
  call({
    port: house.port,
    method: 'POST',
    path: '/everleaf/v1/check-in',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      agent: 'test/1',
      time: '2027-01-01T00:00:00Z',
      trustAnchors: null,
      crl: null,
      error: null,
      ...body,
    }),
    ...more,
  })
const stateOf = async (key: { authority: string; serial: string }) =>
  (await house.world.ports.store.certificates.get(key))?.state

describe('renewal-info', () => {
  const info = (id: string) => call({ port: house.port, path: `/everleaf/v1/renewal-info/${id}` })
  const identifier = async (device: string) => {
    const { certificate } = await house.world.enrol(device)
    const issuer = house.world.ports.authorities.issuing.certificate.subjectKeyIdentifier ?? new Uint8Array()
    return { certificate, id: certificateId(issuer, serialToBytes(certificate.serial)) }
  }

  it('tells anybody the window around the slot and when to ask again', async () => {
    const { certificate, id } = await identifier('window-1')
    const answer = await info(id)
    expect(answer.status).toBe(200)
    expect(answer.rawHeaders['Content-Type']).toBe('application/json')
    expect(Number(answer.rawHeaders['Retry-After'])).toBeGreaterThan(0)
    const { start, end } = answer.json().suggestedWindow as { start: string; end: string }
    expect(Object.keys(answer.json())).toEqual(['suggestedWindow'])
    expect(Date.parse(start)).toBe(certificate.slot)
    expect(Date.parse(end)).toBeGreaterThan(Date.parse(start))
  })

  it('is 404 for a certificate that is not known and 400 for what is no identifier', async () => {
    const { id } = await identifier('window-2')
    const [issuer = ''] = id.split('.')
    expect((await info(`${issuer}.QUFBQUFBQUFBQUFBQUFBQQ`)).status).toBe(404)
    for (const wrong of ['x', 'a.b.c', `${issuer}.`, `${issuer}.AAAB`, `${issuer}.%20`, 'A'.repeat(400)])
      expect((await info(wrong)).status).toBe(400)
    expect((await info('')).status).toBe(400)
  })
})

it('nothing is answered before the use of the certificate is recorded', async () => {
  const device = await house.world.enrol('contact-0')
  door.hold()
  let isAnswered = false
  const answer = call({ port: house.port, path: '/everleaf/v1/trust-anchors', identity: identityOf(device) }).then(
    ({ status }) => {
      isAnswered = true
      return status
    },
  )
  await eventually(() => door.held() > 0, 'the record is under way')
  for (let other = 0; other < 10; other += 1) await call({ port: house.port, path: '/.well-known/est/cacerts' })
  expect(isAnswered).toBe(false)
  door.release()
  expect(await answer).toBe(200)
})

describe('check-in', () => {
  it('confirms the certificate that it comes with before it answers, and so supersedes the one before', async () => {
    const device = await house.world.enrol('contact-1')
    expect((await checkIn({ identity: identityOf(device) })).status).toBe(200)
    expect(await stateOf(device.certificate)).toBe('confirmed')
    const successor = await house.world.renew(device)
    expect(await stateOf(device.certificate)).toBe('confirmed')
    expect((await checkIn({ identity: identityOf(successor) })).status).toBe(200)
    expect(await stateOf(successor.certificate)).toBe('confirmed')
    expect(await stateOf(device.certificate)).toBe('superseded')
  })

  it('a renewal is a use of the old certificate too', async () => {
    const device = await house.world.enrol('contact-2')
    expect(await stateOf(device.certificate)).toBe('delivered')
    expect((await reenrol(house.port, device)).status).toBe(200)
    expect(await stateOf(device.certificate)).toBe('confirmed')
  })

  it('tells when to renew and which artefacts are current, and records the contact', async () => {
    const device = await house.world.enrol('contact-3')
    const answer = await checkIn({ identity: identityOf(device) }, { agent: 'everleaf-agent/9', error: 'hook failed' })
    expect(answer.json()).toEqual({
      time: new Date(house.world.clock.now()).toISOString(),
      renew: { now: false, at: new Date(device.certificate.slot ?? 0).toISOString(), keys: 'rekey' },
      trustAnchors: expect.stringMatching(/^"[0-9a-f]+"$/),
      crl: expect.stringMatching(/^"[0-9a-f]+"$/),
    })
    const row = await house.world.ports.store.devices.get(device.id)
    expect(row).toMatchObject({
      agentVersion: 'everleaf-agent/9',
      lastError: 'hook failed',
      lastContactAt: house.world.clock.now(),
    })
  })

  it('says "now" once the renewal was opened', async () => {
    const device = await house.world.enrol('contact-4')
    const { ports, clock } = house.world
    const later = { ...ports, clock: { ...clock, now: () => (device.certificate.slot ?? 0) + 1_000 } }
    await openRenewal(device.certificate, later)
    expect((await checkIn({ identity: identityOf(device) })).json().renew).toMatchObject({ now: true })
  })

  it('is refused without a certificate, with another media type, too much, or something else than a check-in', async () => {
    const identity = identityOf(await house.world.enrol('contact-5'))
    const nobody = await checkIn()
    expect([nobody.status, nobody.rawHeaders['Content-Type']]).toEqual([401, 'application/problem+json'])
    expect((await checkIn({ identity, headers: { 'Content-Type': 'text/plain' } })).status).toBe(415)
    expect((await checkIn({ identity, body: ' '.repeat(20_000) })).status).toBe(413)
    expect((await checkIn({ identity, body: '{' })).status).toBe(400)
    const wrong = await checkIn({ identity }, { agent: 'x'.repeat(300) })
    expect([wrong.status, wrong.json().detail]).toEqual([400, expect.stringContaining('agent')])
  })
})

describe.each([
  ['trust-anchors', 'application/pem-certificate-chain', /^# [\s\S]*-----BEGIN CERTIFICATE-----/],
  ['crl', 'application/x-pem-file', /-----BEGIN X509 CRL-----/],
])('%s', (name, type, content) => {
  const get = (more: Partial<Parameters<typeof call>[0]> = {}) =>
    call({ port: house.port, path: `/everleaf/v1/${name}`, ...more })

  it('goes to a device as PEM with an ETag, and not again while that is current', async () => {
    const identity = identityOf(await house.world.enrol(`${name}-1`))
    const first = await get({ identity })
    expect(first.status).toBe(200)
    expect(first.rawHeaders['Content-Type']).toBe(type)
    expect(first.text).toMatch(content)
    const etag = first.rawHeaders.ETag ?? ''
    const unchanged = await get({ identity, headers: { 'If-None-Match': `"other", W/${etag}` } })
    expect([unchanged.status, unchanged.bytes.length, unchanged.rawHeaders.ETag]).toEqual([304, 0, etag])
    expect((await get({ identity, headers: { 'If-None-Match': '"other"' } })).status).toBe(200)
    const response = (await checkIn({ identity })).json()
    expect(name === 'crl' ? response.crl : response.trustAnchors).toBe(etag)
  })

  it('goes to nobody else', async () => {
    expect((await get()).status).toBe(401)
  })
})
