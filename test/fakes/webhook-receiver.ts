import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Envelope } from '../../src/events/envelope.ts'

export interface ReceiverFault {
  /** Answer with this status (and headers) instead of taking the event. */
  status?: number
  headers?: Record<string, string>
  /** `hang`: never answer. `cut`: drop the connection unanswered. `lose-answer`: take the event, then drop the connection. */
  behaviour?: 'hang' | 'cut' | 'lose-answer'
  /** Only for the event of this id. */
  id?: string
  /** Only for the next so many requests. */
  times?: number
}

export interface WebhookReceiver {
  url: string
  /** What was taken, in the order of arrival, repeats too. */
  received: Envelope[]
  /** What was wrong with requests that were turned away with 401. */
  complaints: string[]
  /** All requests ever, and connections ever. */
  requests: number
  connections: number
  /** Connections that are open now. */
  open(): number
  /** Adds a fault; the first that applies wins. Without one, all is well again. */
  fault(fault?: ReceiverFault): void
  /** Stops listening and cuts all connections, as a crash would. */
  down(): Promise<void>
  /** Listens again, on the same port. */
  up(): Promise<void>
  close(): Promise<void>
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** What is wrong with the request, judged from the documented header alone; null: nothing. */
const complaintAbout = (request: IncomingMessage, body: Buffer, secret: string | Uint8Array): string | null => {
  const header = String(request.headers['everleaf-signature'] ?? '')
  const parts = /^t=([0-9]+),v1=([0-9a-f]{64})$/.exec(header)
  if (parts?.[1] === undefined || parts[2] === undefined) return `malformed signature header "${header}"`
  const mac = createHmac('sha256', secret)
  mac.update(Buffer.concat([Buffer.from(`${parts[1]}.`, 'ascii'), body]))
  if (!timingSafeEqual(mac.digest(), Buffer.from(parts[2], 'hex'))) return 'the signature does not fit the body'
  if (request.headers['content-type'] !== 'application/json') return `content type ${request.headers['content-type']}`
  const envelope = JSON.parse(body.toString('utf8')) as Envelope
  if (request.headers['everleaf-event-id'] !== envelope.id) return 'the event id of the header is not that of the body'
  return null
}

/** A real HTTP server that checks signatures by itself and can be broken in the ways in which receivers break. */
export const startWebhookReceiver = async (secret: string | Uint8Array): Promise<WebhookReceiver> => {
  const sockets = new Set<Socket>()
  let faults: ReceiverFault[] = []

  const faultFor = (id: string): ReceiverFault | undefined => {
    const found = faults.find((fault) => fault.id === undefined || fault.id === id)
    if (found?.times !== undefined && --found.times === 0) faults = faults.filter((fault) => fault !== found)
    return found
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    receiver.requests++
    const body = await bodyOf(request)
    const complaint = complaintAbout(request, body, secret)
    if (complaint !== null) {
      receiver.complaints.push(complaint)
      response.writeHead(401).end(complaint)
      return
    }
    const envelope = JSON.parse(body.toString('utf8')) as Envelope
    const fault = faultFor(envelope.id)
    if (fault?.behaviour === 'hang') return
    if (fault?.behaviour === 'cut') {
      request.socket.destroy()
    } else if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end('no')
    } else {
      receiver.received.push(envelope)
      if (fault?.behaviour === 'lose-answer') request.socket.destroy()
      else response.writeHead(204).end()
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy())
  })
  server.on('connection', (socket) => {
    receiver.connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const down = () =>
    new Promise<void>((resolve) => {
      if (!server.listening) return resolve()
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })

  await listen(0)
  const { port } = server.address() as AddressInfo
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${port}/events?key=in-the-address`,
    received: [],
    complaints: [],
    requests: 0,
    connections: 0,
    open: () => sockets.size,
    fault: (fault) => {
      faults = fault === undefined ? [] : [...faults, { ...fault }]
    },
    down,
    up: () => listen(port),
    close: down,
  }
  return receiver
}
