import { Agent, createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { type PostRequest, post } from '../../src/events/post.ts'

const endings: Array<() => void> = []
afterEach(() => {
  for (const end of endings.splice(0)) end()
})

const listening = async (server: Server): Promise<number> => {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => sockets.delete(socket))
  })
  endings.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
const http = async (handler: RequestListener) => `http://127.0.0.1:${await listening(createServer(handler))}/`
const tcp = async (handler: (socket: Socket) => void) => `127.0.0.1:${await listening(createTcpServer(handler))}/`

const request = (url: string, overrides: Partial<PostRequest> = {}) => {
  const agent = new Agent({ keepAlive: true })
  endings.push(() => agent.destroy())
  const body = Buffer.from('{}')
  return post({ url: new URL(url), agent, headers: {}, body, timeout: 5_000, connectTimeout: 2_000, ...overrides })
}

test('an answer without end counts by its head, and its connection is dropped', async () => {
  let open = true
  const url = await http((_, response) => {
    response.writeHead(200)
    const more = () => {
      while (response.write(Buffer.alloc(16_384)));
    }
    response.on('drain', more)
    response.on('close', () => {
      open = false
    })
    more()
  })
  expect(await request(url)).toMatchObject({ status: 200 })
  await vi.waitFor(() => expect(open).toBe(false), { timeout: 5_000 })
})

test('an answer whose body is cut short counts by its head', async () => {
  const url = await http((_, response) => {
    response.writeHead(200, { 'Content-Length': '1000' })
    response.write('only this')
    setImmediate(() => response.socket?.destroy())
  })
  expect(await request(url)).toMatchObject({ status: 200 })
})

test('an answer that trickles is given up after the timeout', async () => {
  const url = `http://${await tcp((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const trickle = setInterval(() => socket.write('X-More: yes\r\n'), 20)
    socket.on('close', () => clearInterval(trickle))
  })}`
  expect(await request(url, { timeout: 200 })).toEqual({ fault: 'no answer within 200 ms' })
})

test('a TLS handshake that never ends is given up after the timeout for connecting', async () => {
  const url = `https://${await tcp(() => undefined)}`
  const answer = await request(url, { agent: false, connectTimeout: 100 })
  expect(answer).toEqual({ fault: 'no connection within 100 ms' })
})

test('a slow answer on a quick connection has the whole timeout', async () => {
  const url = await http((_, response) => {
    setTimeout(() => response.writeHead(204).end(), 200)
  })
  expect(await request(url, { connectTimeout: 50 })).toMatchObject({ status: 204 })
})

test('what is no HTTP, and a protocol switch that nobody asked for, are faults', async () => {
  const babble = `http://${await tcp((socket) => socket.end('220 mail.example ESMTP\r\n'))}`
  expect(await request(babble)).toEqual({ fault: expect.stringContaining('HTTP') })
  const upgrade = `http://${await tcp((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'))
  })}`
  expect(await request(upgrade)).toEqual({ fault: expect.stringMatching(/./) })
})

test('a port where nobody listens is a fault that names it', async () => {
  const server = createTcpServer()
  const port = await listening(server)
  await new Promise((resolve) => server.close(resolve))
  expect(await request(`http://127.0.0.1:${port}/`)).toEqual({
    fault: expect.stringContaining(`ECONNREFUSED 127.0.0.1:${port}`),
  })
})
