import { Agent } from 'node:https'
import { afterEach, describe, expect, it } from 'vitest'
import type { DeviceLimits } from '../../../src/api/device/server.ts'
import { EverleafError } from '../../../src/errors.ts'
import type { Store } from '../../../src/store/store.ts'
import { openTcp, openTls, untilClosed } from '../support/client.ts'
import { csrBody, reenrol, simpleenroll } from '../support/est.ts'
import { holdTransactions } from '../support/hold.ts'
import { eventually, type House, identityOf, makeHouse } from '../support/house.ts'

let house: House
afterEach(() => house.stop())

const repeat = <T>(count: number, make: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, make))

const slowHead =
  'POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\nContent-Length: 60000\r\n'

describe('a renewal goes through', () => {
  it('beside 200 idle, 200 silent and 200 slow connections', async () => {
    house = await makeHouse({ limits: { working: 8 } })
    const device = await house.world.enrol('busy-1')
    const idle = await repeat(200, () => openTls(house.port))
    const silent = await repeat(200, () => openTcp(house.port))
    const slow = await repeat(200, () => openTls(house.port, identityOf(device)))
    for (const socket of slow) socket.write(`${slowHead}\r\n`)
    const dripping = setInterval(() => {
      for (const socket of slow) socket.write('A')
    }, 50)
    const started = Date.now()
    const answers = await repeat(5, () => reenrol(house.port, device))
    const took = Date.now() - started
    clearInterval(dripping)
    for (const socket of [...idle, ...silent, ...slow]) socket.destroy()
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(took).toBeLessThan(5_000)
  })
})

describe('a connection ends', () => {
  const limits: Partial<DeviceLimits> = {
    handshakeTimeout: 400,
    headersTimeout: 400,
    requestTimeout: 800,
    keepAliveTimeout: 200,
    checkInterval: 50,
  }
  const timed = async (work: () => Promise<string>): Promise<{ text: string; took: number }> => {
    const started = Date.now()
    return { text: await work(), took: Date.now() - started }
  }
  const drip = async (send: (byte: string) => void, answer: Promise<string>): Promise<string> => {
    const dripping = setInterval(() => send('a'), 40)
    const text = await answer
    clearInterval(dripping)
    return text
  }

  it('that says nothing, or drips its handshake', async () => {
    house = await makeHouse({ limits })
    const silent = await openTcp(house.port)
    const dripping = await openTcp(house.port)
    dripping.write(Buffer.from('1603010200010001fc0303', 'hex'))
    const both = await timed(async () => {
      const first = untilClosed(silent)
      await drip((byte) => dripping.write(byte), untilClosed(dripping))
      return first
    })
    expect(both.took).toBeLessThan(3_000)
  })

  it.each([
    ['head', slowHead, { ...limits, requestTimeout: 60_000 }],
    ['body', `${slowHead}\r\n`, limits],
  ])('that drips its %s, however steadily, with 408', async (_, start, bounds) => {
    house = await makeHouse({ limits: bounds })
    const socket = await openTls(house.port)
    socket.write(start)
    const { text, took } = await timed(() => drip((byte) => socket.write(byte), untilClosed(socket)))
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
    expect(took).toBeLessThan(3_000)
  })

  it('after the handshake with no request, and after an answer with no next request', async () => {
    house = await makeHouse({ limits })
    const idle = await openTls(house.port)
    expect((await timed(() => untilClosed(idle))).took).toBeLessThan(3_000)
    const done = await openTls(house.port)
    done.write('GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n')
    const { text, took } = await timed(() => untilClosed(done))
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(took).toBeLessThan(3_000)
  })

  it('at once beyond the number that one address may have', async () => {
    house = await makeHouse({ limits: { connectionsPerAddress: 5 } })
    const five = await repeat(5, () => openTls(house.port))
    await expect(openTls(house.port)).rejects.toThrow()
    five[0]?.destroy()
    await eventually(
      async () =>
        openTls(house.port).then(
          (socket) => !!socket.destroy(),
          () => false,
        ),
      'a free place',
    )
    for (const socket of five) socket.destroy()
  })

  it('that only waits, when all places are taken and another comes', async () => {
    house = await makeHouse({ limits: { connections: 3 } })
    const waiting = await repeat(3, () => openTls(house.port))
    const answered = waiting.map((socket) => new Promise((resolve) => socket.once('data', resolve)))
    for (const socket of waiting) socket.write('GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n')
    await Promise.all(answered)
    await eventually(
      async () =>
        openTls(house.port).then(
          (socket) => !!socket.destroy(),
          () => false,
        ),
      'a free place',
    )
    for (const socket of waiting) socket.destroy()
  })
})

it('a disk that is full is told to the log; the device learns to come back later, and no path of the server', async () => {
  const message = 'the database /srv/everleaf.db cannot be used: the disk is full'
  let isFull = false
  house = await makeHouse({
    wrap: (ports) => {
      const fail = () => Promise.reject(new EverleafError('unavailable', message, { cause: new Error('SQLITE_FULL') }))
      const store: Store = Object.create(ports.store, {
        transaction: { value: (work: never) => (isFull ? fail() : ports.store.transaction(work)) },
      })
      return { ...ports, store }
    },
  })
  const token = await house.token('full-1')
  isFull = true
  const answer = await simpleenroll({ port: house.port, token, body: await csrBody('full-1') })
  expect(answer.status).toBe(503)
  expect(Number(answer.rawHeaders['Retry-After'])).toBeGreaterThan(0)
  expect(answer.text).not.toContain('/srv')
  expect(JSON.stringify(house.log)).toContain('the disk is full')
})

describe('while the store is slow', () => {
  it('more work than the limit is told to come back later, at once', async () => {
    const door = holdTransactions()
    house = await makeHouse({ wrap: door.wrap, limits: { working: 2 } })
    const enrol = async (device: string, token: string) =>
      simpleenroll({ port: house.port, token, body: await csrBody(device) })
    const tokens = [await house.token('gate-1'), await house.token('gate-2'), await house.token('gate-3')] as const
    door.hold()
    const first = [enrol('gate-1', tokens[0]), enrol('gate-2', tokens[1])]
    await eventually(() => door.held() === 2, 'both at work')
    const third = await enrol('gate-3', tokens[2])
    expect(third.status).toBe(503)
    expect(Number(third.rawHeaders['Retry-After'])).toBeGreaterThan(0)
    door.release()
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200])
    expect((await enrol('gate-3', tokens[2])).status).toBe(200)
  })

  it('a client that goes away is not taken to have its certificate; asking again, it gets the same one', async () => {
    const door = holdTransactions()
    house = await makeHouse({ wrap: door.wrap })
    const token = await house.token('gone-1')
    const body = await csrBody('gone-1')
    const authorization = Buffer.from(`:${token}`).toString('base64')
    const socket = await openTls(house.port)
    door.hold()
    socket.write(
      `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\nAuthorization: Basic ${authorization}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    await eventually(() => door.held() === 1, 'at work')
    socket.destroy()
    door.release()
    await eventually(() => house.log.lines.some(({ status }) => status === 'client gone'), 'the end in the log')
    const { certificates } = house.world.ports.store
    const states = async () => (await certificates.list({ device: 'gone-1', limit: 5 })).map(({ state }) => state)
    expect(await states()).toEqual(['issued'])
    expect((await simpleenroll({ port: house.port, token, body })).status).toBe(200)
    await eventually(async () => (await states()).join() === 'delivered', 'delivered, and still one')
  })

  it('stopping lets a running request finish, takes no new connection, and ends idle ones', async () => {
    const door = holdTransactions()
    house = await makeHouse({ wrap: door.wrap })
    const idle = await openTls(house.port)
    const idleEnd = untilClosed(idle)
    const token = await house.token('stop-1')
    door.hold()
    const agent = new Agent({ keepAlive: true })
    const running = simpleenroll({ port: house.port, token, body: await csrBody('stop-1'), agent })
    await eventually(() => door.held() === 1, 'at work')
    const closed = house.server.close(60_000)
    await expect(openTls(house.port)).rejects.toThrow()
    door.release()
    const answer = await running
    expect([answer.status, answer.rawHeaders.Connection]).toEqual([200, 'close'])
    await closed
    await idleEnd
    agent.destroy()
  })

  it('stopping ends what still runs at the deadline', async () => {
    const door = holdTransactions()
    house = await makeHouse({ wrap: door.wrap })
    const token = await house.token('stop-2')
    door.hold()
    const running = simpleenroll({ port: house.port, token, body: await csrBody('stop-2') })
    await eventually(() => door.held() === 1, 'at work')
    const ended = expect(running).rejects.toThrow()
    const closed = house.server.close(5_000)
    await house.world.clock.advance(5_000)
    await ended
    door.release()
    await closed
  })
})
