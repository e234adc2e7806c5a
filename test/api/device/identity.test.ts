import { Agent } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDeviceServer } from '../../../src/api/device/server.ts'
import type { ListenerSource } from '../../../src/listener/listener.ts'
import { makeKey } from '../../support/certificates.ts'
import { call, openTls, untilClosed } from '../support/client.ts'
import { reenrol } from '../support/est.ts'
import { type House, makeHouse, serverPair } from '../support/house.ts'

let house: House
beforeAll(async () => {
  house = await makeHouse()
})
afterAll(() => house.stop())

const newcomer = async () => {
  const socket = await openTls(house.port)
  const serial = socket.getPeerX509Certificate()?.serialNumber
  socket.destroy()
  return serial
}

describe('a new certificate of the listener', () => {
  it('answers new connections at once, while the open ones go on', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const request = () => call({ port: house.port, path: '/.well-known/est/cacerts', agent })
    expect((await request()).status).toBe(200)
    const [open] = Object.values(agent.freeSockets).flat() as TLSSocket[]
    const before = await newcomer()
    house.identity.use(await serverPair(house.world))
    const after = await newcomer()
    expect(after).not.toBe(before)
    expect((await request()).status).toBe(200)
    expect(Object.values(agent.freeSockets).flat()).toEqual([open])
    agent.destroy()
  })

  it('lets a client whose session is of the former one connect and renew', async () => {
    const device = await house.world.enrol('identity-1')
    const first = await reenrol(house.port, device)
    house.identity.use(await serverPair(house.world))
    const successor = await reenrol(house.port, device)
    expect([first.status, successor.status]).toEqual([200, 200])
  })

  it('that does not fit its key leaves the former in use and is told in the log', async () => {
    const before = await newcomer()
    const { chain } = await serverPair(house.world)
    house.identity.use({ chain, key: makeKey().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() })
    expect(await newcomer()).toBe(before)
    expect(house.log.lines.at(-1)).toMatchObject({ level: 'error', message: expect.stringContaining('cannot be used') })
    const options = { ports: house.world.ports, identity: house.identity, anchors: () => [], log: house.log }
    expect(() => createDeviceServer(options)).toThrow('cannot be used')
    house.identity.use(await serverPair(house.world))
  })
})

it('without any certificate every handshake fails, and works from the first one on', async () => {
  let tell: () => void = () => undefined
  let pair: Awaited<ReturnType<typeof serverPair>> | null = null
  const identity: ListenerSource = {
    read: () => pair,
    onChange: (callback) => {
      tell = () => pair && callback(pair)
      return () => undefined
    },
  }
  const { ports } = house.world
  const server = createDeviceServer({ ports, identity, anchors: () => [], log: house.log })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  await expect(openTls(port)).rejects.toThrow()
  pair = await serverPair(house.world)
  tell()
  const socket = await openTls(port)
  socket.destroy()
  await server.close(0)
})

it('a port in use is told with its number', async () => {
  const taken = { host: '127.0.0.1', port: house.port }
  const options = { ports: house.world.ports, identity: house.identity, anchors: () => [], log: house.log }
  await expect(createDeviceServer(options).listen(taken)).rejects.toThrow(`port ${house.port}`)
})

it('renegotiation, by which a client could become another within a connection, is refused', async () => {
  const socket = await openTls(house.port, { maxVersion: 'TLSv1.2' })
  const ended = untilClosed(socket)
  const outcome = await new Promise<string>((resolve) => {
    socket.once('error', () => resolve('refused'))
    const begun = socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error ? 'refused' : 'done'))
    if (begun === false) resolve('refused')
    void ended.then(() => resolve('refused'))
  })
  socket.destroy()
  expect(outcome).toBe('refused')
})
