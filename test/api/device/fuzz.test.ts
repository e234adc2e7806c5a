import { Agent } from 'node:https'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { encodeBase64 } from '../../../src/protocol/base64.ts'
import { makeCsr } from '../../support/certificates.ts'
import type { TestDevice } from '../../support/world.ts'
import { call, exchangeRaw } from '../support/client.ts'
import { sanOf, simpleenroll, simplereenroll } from '../support/est.ts'
import { type House, identityOf, makeHouse } from '../support/house.ts'

let house: House
let device: TestDevice
let agent: Agent
let strange: Agent
beforeAll(async () => {
  house = await makeHouse({
    limits: { headersTimeout: 300, requestTimeout: 2_000, keepAliveTimeout: 60_000, checkInterval: 50 },
  })
  device = await house.world.enrol('fuzz-1')
  agent = new Agent({ keepAlive: true, maxSockets: 4, ...identityOf(device) })
  strange = new Agent({ keepAlive: true, maxSockets: 4 })
})
afterAll(() => {
  agent.destroy()
  strange.destroy()
  return house.stop()
})

const isRefusal = (status: number): boolean => status >= 400 && status < 500

/** A fault of the server would have left an error in its log. */
afterEach(() => {
  expect(house.log.lines.filter(({ level }) => level === 'error')).toEqual([])
})

const send = async (body: string | Uint8Array): Promise<number[]> => {
  const { port } = house
  const enrolled = await simpleenroll({ port, body, agent: strange, token: 'A'.repeat(32) })
  const renewed = await simplereenroll({ port, body, agent })
  return [enrolled.status, renewed.status]
}

describe('whatever a client sends to enrol or renew, it is its own mistake:', () => {
  it('any bytes, any text', async () => {
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.base64String({ maxLength: 400 }),
    )
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        expect((await send(body)).every(isRefusal)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  it('a good request with bytes changed, cut out or put in', async () => {
    const { der } = await makeCsr({ key: device.key, subject: device.id, san: sanOf(device.id) })
    const damage = fc.tuple(fc.nat(der.length - 1), fc.nat(3), fc.uint8Array({ minLength: 1, maxLength: 4 }))
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        let bytes = [...der]
        for (const [at, cut, put] of damages) bytes = [...bytes.slice(0, at), ...put, ...bytes.slice(at + cut)]
        if (Buffer.compare(Buffer.from(bytes), Buffer.from(der)) === 0) return
        expect((await send(encodeBase64(Uint8Array.from(bytes)))).every(isRefusal)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  it('deep nesting and lying lengths', async () => {
    const nested = (depth: number, tag: number) =>
      Uint8Array.from({ length: depth * 2 }, (_, at) => (at % 2 === 0 ? tag : 0x80))
    const honest = (depth: number) => {
      const heads: number[][] = []
      let length = 2
      for (let level = 0; level < depth; level += 1) {
        const head = length < 128 ? [0x30, length] : [0x30, 0x83, length >> 16, (length >> 8) & 255, length & 255]
        heads.unshift(head)
        length += head.length
      }
      return Uint8Array.from([...heads.flat(), 5, 0])
    }
    const liars = [
      [0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
      [0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
      [0x30, 0xff],
      [0x30, 0x80, 0, 0],
      [0x30, 0x82, 0, 5, 1, 1, 0xff, 5, 0],
      [0x1f, 0xff, 0xff, 0xff, 0x7f, 0],
      [],
      [0x30],
    ].map((bytes) => Uint8Array.from(bytes))
    for (const der of [nested(40_000, 0x30), nested(40_000, 0xa0), honest(20), honest(10_000), ...liars])
      expect((await send(encodeBase64(der))).every(isRefusal)).toBe(true)
  })
})

describe('whatever else a client sends', () => {
  it('as a check-in is a 4xx, or a check-in', async () => {
    const value = fc.oneof(
      fc.json({ maxDepth: 6 }),
      fc.string({ maxLength: 200 }),
      fc.constantFrom('['.repeat(8_000), `{"a":${'['.repeat(7_000)}`),
    )
    await fc.assert(
      fc.asyncProperty(value, fc.constantFrom('application/json', 'text/plain', ''), async (body, type) => {
        const headers = { 'Content-Type': type }
        const { status } = await call({
          port: house.port,
          method: 'POST',
          path: '/everleaf/v1/check-in',
          headers,
          body,
          agent,
        })
        expect(isRefusal(status)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('as method, path and headers is a 4xx or a known answer', async () => {
    const visible = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
      maxLength: 60,
    })
    const root = fc.constantFrom(
      '/',
      '/.well-known/est/',
      '/everleaf/v1/',
      '/everleaf/v1/renewal-info/',
      '/.well-known/est/device/',
      '//',
      '/%2e%2e/',
    )
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'HEAD', 'TRACE', 'PROPFIND')
    await fc.assert(
      fc.asyncProperty(method, root, visible, async (verb, start, rest) => {
        const path = `${start}${rest.replace('#', '')}`
        const { status } = await call({ port: house.port, method: verb, path, agent: strange })
        expect(isRefusal(status)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  it('as bytes on the connection ends in a 4xx, or in nothing', async () => {
    const line = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 80,
    })
    await fc.assert(
      fc.asyncProperty(line, fc.array(line, { maxLength: 3 }), async (first, headers) => {
        const answer = await exchangeRaw(house.port, `${[first, ...headers].join('\r\n')}\r\n\r\n\r\n\r\n`)
        expect(answer === '' || /^HTTP\/1\.1 4\d\d /.test(answer)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})
