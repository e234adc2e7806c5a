import http from 'node:http'
import https from 'node:https'
import { messageOf } from '../errors.ts'
import type { Duration } from '../model.ts'

export interface PostRequest {
  url: URL
  /** Keeps connections alive; false: a connection for this request alone. */
  agent: http.Agent | false
  headers: Record<string, string>
  body: Uint8Array
  /** Until the answer is read. */
  timeout: Duration
  connectTimeout: Duration
}

export type Answer = { status: number; retryAfter?: string; date?: string } | { fault: string }

/** More of an answer's body than this is not read; the connection is dropped instead. */
const longestBody = 65_536

/** One POST. Follows no redirect and reads the answer's body only to free the connection. A fault is an answer too. */
export const post = async (request: PostRequest): Promise<Answer> => {
  const answer = await attempt(request)
  // The other side may close a kept connection just as it is used again, which says nothing about its health.
  return 'stale' in answer ? await attempt({ ...request, agent: false }) : answer
}

const attempt = (request: PostRequest): Promise<Answer | { fault: string; stale: true }> =>
  new Promise((resolve) => {
    const { url, agent, headers, body, timeout } = request
    const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
      method: 'POST',
      agent,
      headers: { ...headers, 'Content-Length': body.byteLength },
      signal: AbortSignal.timeout(timeout),
    })
    boundConnecting(outgoing, request)
    outgoing.on('response', (response) => {
      const { 'retry-after': retryAfter, date } = response.headers
      resolve({ status: response.statusCode ?? 0, retryAfter, date })
      discard(response)
    })
    // What happens after the head of the answer resolves nothing any more.
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const fault = describe(error, timeout)
      resolve(outgoing.reusedSocket && closedByOther.has(error.code) ? { fault, stale: true } : { fault })
    })
    outgoing.on('close', () => resolve({ fault: 'the connection was closed without an answer' }))
    outgoing.end(body)
  })

const closedByOther = new Set<string | undefined>(['ECONNRESET', 'EPIPE'])

const boundConnecting = (outgoing: http.ClientRequest, { url, connectTimeout }: PostRequest): void => {
  outgoing.on('socket', (socket) => {
    if (!socket.connecting) return
    const giveUp = () => outgoing.destroy(new Error(`no connection within ${connectTimeout} ms`))
    socket.setTimeout(connectTimeout, giveUp)
    socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      socket.removeListener('timeout', giveUp)
      socket.setTimeout(0)
    })
  })
}

const discard = (response: http.IncomingMessage): void => {
  let left = longestBody
  response.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) response.destroy()
  })
}

const describe = (error: NodeJS.ErrnoException, timeout: Duration): string => {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `no answer within ${timeout} ms`
  // An attempt at several addresses fails with an empty message and a code.
  return messageOf(error) || (error.code ?? error.name)
}
