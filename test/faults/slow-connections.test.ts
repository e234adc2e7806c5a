import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encodePem } from '../../src/protocol/pem.ts'
import { type ClientIdentity, openTcp, openTls } from '../api/support/client.ts'
import { certificatesIn, csrBody, simpleenroll, simplereenroll } from '../api/support/est.ts'
import { makeKey } from '../support/certificates.ts'
import { type Server, startServer } from '../support/server.ts'

let server: Server
const sockets: Socket[] = []
const dripping: Array<[Socket, string | Uint8Array]> = []
beforeAll(async () => {
  const san = { uri: ['spiffe://everleaf.test/device/{device}'] }
  server = await startServer({
    settings: { profiles: { device: { san, renewal: { burst: 100_000 } } }, log: { level: 'warn' } },
  })
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await server.stop()
})

const open = async (count: number, connect: () => Promise<Socket>): Promise<Socket[]> => {
  const opened = await Promise.all(Array.from({ length: count }, connect))
  sockets.push(...opened)
  return opened
}

const slow = (opened: Socket[], start: string | Uint8Array, rest: string | Uint8Array): void => {
  for (const socket of opened) {
    socket.write(start)
    dripping.push([socket, rest])
  }
}

const clientHello = Buffer.from('1603010200010001fc0303', 'hex')
const head = 'POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\n'

test('200 idle connections and 200 slow ones at the device listener, and some at the others, do not stop a renewal', async () => {
  const { device, public: publicPort, admin } = server.ports
  const key = makeKey()
  const body = await csrBody('busy', key)
  const enrolled = await simpleenroll({ port: device, token: await server.token('busy'), body })
  const [der = new Uint8Array()] = certificatesIn(enrolled)
  const identity: ClientIdentity = {
    cert: encodePem('CERTIFICATE', der),
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  await open(100, () => openTls(device))
  await open(100, () => openTcp(device))
  slow(await open(70, () => openTls(device)), head.slice(0, 20), head.slice(20))
  slow(await open(70, () => openTls(device, identity)), `${head}Content-Length: 60000\r\n\r\n`, 'A'.repeat(60_000))
  slow(await open(60, () => openTcp(device)), clientHello, new Uint8Array(512))
  for (const port of [publicPort, admin])
    slow(await open(50, () => openTcp(port)), 'GET / HTTP/1.1\r\n', `Host: ${'x'.repeat(100)}`)
  let dripped = 0
  const drip = setInterval(() => {
    for (const [socket, rest] of dripping) socket.write(rest.slice(dripped, dripped + 1))
    dripped += 1
  }, 1_000)
  try {
    const times: number[] = []
    while (dripped < 3) {
      const started = performance.now()
      const answer = await simplereenroll({ port: device, identity, body: await csrBody('busy') })
      expect(answer.status).toBe(200)
      times.push(performance.now() - started)
    }
    expect(Math.max(...times)).toBeLessThan(3_000)
    const crl = await fetch(`${server.publicUrl}/crl/issuing-g1/0.crl`)
    expect(crl.status).toBe(200)
    expect(await server.admin('status')).toMatchObject({ ready: true })
    expect(sockets.filter((socket) => socket.destroyed)).toEqual([])
  } finally {
    clearInterval(drip)
  }
})
