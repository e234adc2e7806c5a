import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestDevice } from '../../support/world.ts'
import { openTls, sessionOf, untilClosed } from '../support/client.ts'
import { csrBody } from '../support/est.ts'
import { type House, identityOf, makeHouse } from '../support/house.ts'

let house: House
let device: TestDevice
beforeAll(async () => {
  house = await makeHouse()
  device = await house.world.enrol('binding-1')
})
afterAll(() => house.stop())

const connect = (session?: Buffer, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.2') =>
  openTls(house.port, { ...identityOf(device), maxVersion, session })

/** Renews over the connection with the given challengePassword; the status line. */
const renew = async (socket: TLSSocket, challengePassword: string): Promise<string> => {
  const body = await csrBody(device.id, undefined, { challengePassword })
  const answer = untilClosed(socket)
  socket.write(
    `POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/pkcs10\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  return answer
}

const own = (socket: TLSSocket) => socket.getFinished()?.toString('base64') ?? ''
const theirs = (socket: TLSSocket) => socket.getPeerFinished()?.toString('base64') ?? ''

describe('a challengePassword', () => {
  it("that is the client's Finished of a full TLS 1.2 handshake is accepted", async () => {
    const socket = await connect()
    expect(await renew(socket, own(socket))).toMatch(/^HTTP\/1\.1 200 /)
  })

  it("that is the server's Finished is refused there, and accepted on a resumed session, where it came first", async () => {
    const full = await connect()
    const session = sessionOf(full)
    expect(full.isSessionReused()).toBe(false)
    expect(await renew(full, theirs(full))).toMatch(/^HTTP\/1\.1 400 /)
    const resumed = await connect(await session)
    expect(resumed.isSessionReused()).toBe(true)
    expect(await renew(resumed, theirs(resumed))).toMatch(/^HTTP\/1\.1 200 /)
    const again = await connect(await session)
    expect(await renew(again, own(again))).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('of another connection is refused', async () => {
    const other = await connect()
    const socket = await connect()
    expect(await renew(socket, own(other))).toMatch(/^HTTP\/1\.1 400 [\s\S]*tls-unique of this TLS connection/)
    other.destroy()
  })

  it('that is a word or empty is refused', async () => {
    for (const word of ['secret', 'AAAA', ' ']) expect(await renew(await connect(), word)).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('is refused over TLS 1.3, which has no tls-unique, and the message says so', async () => {
    const socket = await connect(undefined, 'TLSv1.3')
    expect(await renew(socket, own(socket))).toMatch(/^HTTP\/1\.1 400 [\s\S]*TLS 1\.3 has none/)
  })
})
