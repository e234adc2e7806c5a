import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type Agent, request as httpsRequest } from 'node:https'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'

export interface ClientIdentity {
  key: string
  cert: string
}

export interface ClientRequest {
  port: number
  method?: string
  path: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  identity?: ClientIdentity
  tls?: ConnectionOptions
  /** Plain HTTP instead of TLS. */
  plain?: boolean
  agent?: Agent
}

export interface ClientAnswer {
  status: number
  /** Names with the case that they came with. */
  rawHeaders: Record<string, string>
  headers: IncomingMessage['headers']
  text: string
  bytes: Buffer
  json(): Record<string, unknown>
}

/** One request on a connection of its own, unless an agent is given. */
export const call = (wanted: ClientRequest): Promise<ClientAnswer> =>
  new Promise((resolve, reject) => {
    const { port, method = 'GET', path, headers, body, identity, tls, plain } = wanted
    const shared = { host: '127.0.0.1', port, method, path, headers }
    const secure = {
      agent: wanted.agent ?? false,
      rejectUnauthorized: false,
      servername: 'localhost',
      ...identity,
      ...tls,
    }
    const sent = plain ? httpRequest({ ...shared, agent: false }) : httpsRequest({ ...shared, ...secure })
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const bytes = Buffer.concat(chunks)
        const raw = response.rawHeaders
        const rawHeaders = Object.fromEntries(
          raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : [])),
        )
        const text = bytes.toString()
        const json = () => JSON.parse(text) as Record<string, unknown>
        resolve({ status: response.statusCode ?? 0, rawHeaders, headers: response.headers, text, bytes, json })
      })
    })
    sent.end(body)
  })

export const openTls = (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.removeListener('error', reject)
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })

/** What a later connection resumes; TLS 1.3 sends it after the handshake. */
export const sessionOf = async (socket: TLSSocket): Promise<Buffer> => {
  const session = socket.getProtocol() === 'TLSv1.3' ? undefined : socket.getSession()
  return session ?? new Promise((resolve) => socket.once('session', resolve))
}

export const openTcp = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connectTcp({ host: '127.0.0.1', port })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.removeListener('error', reject)
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })

/** Everything that comes until the other side ends the connection. */
export const untilClosed = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    socket.on('end', () => socket.end())
  })

/** Sends bytes as they are over TLS and returns everything that comes until the server closes. */
export const exchangeRaw = async (port: number, bytes: string, options: ConnectionOptions = {}): Promise<string> => {
  const socket = await openTls(port, options)
  const answer = untilClosed(socket)
  socket.write(bytes, 'latin1')
  return answer
}

/** Lengths of the TLS records of application data (type 23) that a server sent. */
const applicationRecords = (bytes: Buffer): number[] => {
  const lengths: number[] = []
  for (let offset = 0; offset + 5 <= bytes.length; ) {
    const length = bytes.readUInt16BE(offset + 3)
    if (bytes[offset] === 23) lengths.push(length)
    offset += 5 + length
  }
  return lengths
}

/** Stands between and writes down what the server sends. In TLS 1.2 every write is one record of application data. */
export const recordingProxy = async (
  port: number,
): Promise<{ port: number; records(): number[]; close(): Promise<void> }> => {
  const seen: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connectTcp({ host: '127.0.0.1', port })
    sockets.add(client).add(upstream)
    upstream.on('data', (chunk: Buffer) => seen.push(chunk))
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    records: () => applicationRecords(Buffer.concat(seen)),
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
