import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../clock/clock.ts'
import { EverleafError, messageOf } from '../../errors.ts'
import type { Duration } from '../../model.ts'
import { type Answer, send } from './answer.ts'
import { answerClientError } from './client-error.ts'
import { trackConnections } from './connections.ts'
import type { HttpLimits } from './limits.ts'
import type { Log } from './log.ts'

/** A listener with its connections. */
export interface HttpListener {
  /** Throws `configuration` when the address cannot be had. */
  listen(address: { host: string; port: number }): Promise<{ port: number }>
  /** Takes no more connections, lets what runs finish until `deadline`, then ends everything. */
  close(deadline: Duration): Promise<void>
}

/** One request on its way: what the handlers read, and what the access log will say of it. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** More fields for the access log line. Never a secret. */
  facts: Record<string, unknown>
}

export interface HttpListenerOptions {
  name: string
  server: Server
  /** Never rejects: what goes wrong becomes an answer. */
  answer(exchange: Exchange): Promise<Answer>
  clock: Clock
  log: Log
  limits: HttpLimits
}

const noTunnel = 'HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/**
 * Node has let go of this socket: an error that nobody listens for would end the process, and none of the server's deadlines
 * holds. While an earlier request is being answered nothing may be mixed in.
 */
const refuseTunnel = (socket: Socket, isAnswering: boolean, { keepAliveTimeout }: HttpLimits): void => {
  const end = (): void => {
    socket.destroy()
  }
  socket.on('error', end).setTimeout(keepAliveTimeout, end)
  if (isAnswering) end()
  else socket.end(noTunnel, end)
}

/** Puts `answer` behind a server with deadlines, limits, an access log and an orderly end. */
export const httpListener = ({ name, server, answer, clock, log, limits }: HttpListenerOptions): HttpListener => {
  const connections = trackConnections(server, limits)
  const unfinished = new WeakMap<Duplex, Set<ServerResponse>>()
  const running = new Set<Promise<void>>()
  let closing = false

  server.headersTimeout = limits.headersTimeout
  server.requestTimeout = limits.requestTimeout
  server.keepAliveTimeout = limits.keepAliveTimeout
  server.timeout = limits.idleTimeout

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const started = clock.now()
    const remote = request.socket.remoteAddress
    const facts: Record<string, unknown> = {}
    const flushed = new Promise<boolean>((resolve) => {
      response.once('finish', () => resolve(true))
      response.once('close', () => resolve(false))
    })
    const made = await answer({ request, response, facts })
    if (closing) made.headers = { ...made.headers, Connection: 'close' }
    if (!response.destroyed) await send(request, response, made)
    const whole = await flushed
    if (whole) await made.flushed?.()
    const { method, url = '' } = request
    const outcome = { status: whole ? made.status : 'client gone', milliseconds: clock.now() - started }
    const fields = {
      listener: name,
      method,
      path: url.split('?', 1)[0]?.slice(0, 200),
      ...outcome,
      remote,
    }
    if (made.status >= 500) log.error({ ...fields, ...facts }, 'request')
    else log.info({ ...fields, ...facts }, 'request')
  }

  const unfinishedOn = (socket: Duplex): Set<ServerResponse> => {
    const known = unfinished.get(socket) ?? new Set()
    unfinished.set(socket, known)
    return known
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const waiting = unfinishedOn(request.socket)
    if (waiting.size >= limits.pipelined) {
      // Node hands over the rest of what it has read, too: told once.
      if (!request.socket.destroyed) log.info({ listener: name, reason: 'pipelined' }, 'request refused')
      request.socket.destroy()
      return
    }
    waiting.add(response)
    const job = serve(request, response)
      .catch((error) => {
        log.error({ listener: name, error: messageOf(error) }, 'request failed after its answer')
        response.destroy()
      })
      .finally(() => {
        waiting.delete(response)
        running.delete(job)
      })
    running.add(job)
  }
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('connect', (_request, socket: Socket) => refuseTunnel(socket, unfinishedOn(socket).size > 0, limits))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const answers = [...unfinishedOn(socket)]
    const isAnswering = answers.length > 1 || answers.some(({ headersSent }) => headersSent)
    const status = answerClientError(error, socket, isAnswering)
    if (error.code !== 'ECONNRESET') log.info({ listener: name, status, reason: error.code }, 'request refused')
  })

  return {
    async listen({ host, port }) {
      server.listen({ host, port })
      try {
        await once(server, 'listening')
      } catch (cause) {
        throw new EverleafError(
          'configuration',
          `the ${name} listener cannot have ${host} port ${port}: ${messageOf(cause)}`,
          { cause },
        )
      }
      return { port: (server.address() as AddressInfo).port }
    },

    async close(deadline) {
      if (closing || !server.listening) return
      closing = true
      const closed = once(server, 'close')
      server.close()
      const finished = new AbortController()
      const late = clock.sleep(deadline, finished.signal).catch(() => undefined)
      while (running.size > 0 && (await Promise.race([Promise.allSettled(running), late])) !== undefined);
      finished.abort()
      connections.destroyAll()
      await closed
      await Promise.allSettled(running)
    },
  }
}
