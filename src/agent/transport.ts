import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AgentCertificate } from './certificate.ts'
import type { AgentClock } from './clock.ts'
import { AgentError } from './error.ts'
import { connectVerified, type SessionOptions, translate } from './tls.ts'
import { agentVersion } from './version.ts'

export interface Request {
  method: 'GET' | 'POST'
  path: string
  headers?: Record<string, string>
  body?: string
}

export interface Answer {
  status: number
  headers: Readonly<Record<string, string | undefined>>
  body: Uint8Array
}

/** A connection to the server, opened at the first request and kept for the next ones. */
export interface Session {
  /** Any status is an answer; throws AgentError `network`, `untrusted` or `refused` when there is none. */
  request(request: Request): Promise<Answer>
  /** The chain that the server showed, leaf first; empty before the first request. */
  peer(): readonly AgentCertificate[]
  close(): void
}

export type OpenSession = (options: SessionOptions) => Session

const mostBytes = 262_144

const readBody = async (response: IncomingMessage, server: string): Promise<Uint8Array> => {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length
    if (length > mostBytes) {
      response.destroy()
      throw new AgentError('answer', `${server}: the answer is over ${mostBytes} bytes`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const plainHeaders = (response: IncomingMessage): Answer['headers'] =>
  Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )

/** Sessions over TLS 1.2 or later; the request is written only after the server was verified. */
export const createOpenSession =
  (clock: AgentClock): OpenSession =>
  (options) => {
    const { server, timeout } = options
    let chain: readonly AgentCertificate[] = []
    const pool = new Agent({ keepAlive: true, maxSockets: 1 })
    let signal = clock.deadline(timeout)
    pool.createConnection = (_, done) => {
      connectVerified(options, signal).then(
        (connected) => {
          chain = connected.chain
          done?.(null, connected.socket)
        },
        (error: AgentError) => done?.(error, undefined as never),
      )
      return undefined
    }
    const exchange = (request: Request): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const body = request.body === undefined ? undefined : Buffer.from(request.body)
        const onClose = () => reject(new AgentError('network', `${server}: closed without an answer`))
        const outgoing = httpRequest(
          {
            agent: pool,
            method: request.method,
            path: request.path,
            headers: {
              Host: new URL(server).host,
              'User-Agent': agentVersion,
              Accept: '*/*',
              ...request.headers,
              ...(body === undefined ? {} : { 'Content-Length': String(body.length) }),
            },
            signal,
          },
          (response) => {
            outgoing.off('close', onClose)
            readBody(response, server).then(
              (bytes) => resolve({ status: response.statusCode ?? 0, headers: plainHeaders(response), body: bytes }),
              reject,
            )
          },
        )
        outgoing.once('error', reject)
        // Node closes without an error when an answer is none, such as 101.
        outgoing.once('close', onClose)
        outgoing.end(body)
      })
    return {
      async request(request) {
        signal = clock.deadline(timeout)
        try {
          return await exchange(request)
        } catch (error) {
          if (signal.aborted)
            throw new AgentError('network', `${server}: no answer within ${timeout} ms`, { cause: error })
          throw translate(error, server)
        }
      },
      peer: () => chain,
      close: () => pool.destroy(),
    }
  }
