import { isEverleafError, messageOf } from '../../errors.ts'
import type { Ports } from '../../lifecycle/ports.ts'
import type { Answer } from '../http/answer.ts'
import type { Exchange } from '../http/listener.ts'
import type { Log } from '../http/log.ts'
import { strictTarget } from '../http/target.ts'
import { problemOf, StatusError } from '../problem.ts'
import type { Gate } from './gate.ts'
import { isEst, routeOf } from './routes.ts'

export interface Responder {
  ports: Ports
  log: Log
  gate: Gate
}

/** Routes one request and turns everything thrown into an answer. */
export const respond = async (exchange: Exchange, responder: Responder): Promise<Answer> => {
  try {
    return await route(exchange, responder)
  } catch (error) {
    return failure(error, exchange, responder)
  }
}

const route = async (exchange: Exchange, { ports, gate }: Responder): Promise<Answer> => {
  const { path, query } = strictTarget(exchange.request)
  const { route, label, parameter } = routeOf(path, ports.profiles)
  const method = exchange.request.method === 'HEAD' ? 'GET' : exchange.request.method
  if (method !== route.method)
    throw new StatusError(405, `${path} takes ${route.method}, not ${exchange.request.method}`, { Allow: route.method })
  if (query !== '') throw new StatusError(400, `${path} takes no query`)
  return route.handle({ ...exchange, ports, gate, label, parameter })
}

const failure = (error: unknown, { request, facts }: Exchange, { ports, log }: Responder): Answer => {
  const { status, headers, document } = problemOf(error, ports.random)
  if (isOurTrouble(error)) document.detail = 'the server cannot do this just now; its log says why'
  facts.problem = messageOf(error).slice(0, 500)
  if (status === 500 || isOurTrouble(error)) log.error({ err: error }, 'a device request failed')
  if (status === 401) headers['WWW-Authenticate'] = 'Basic realm="everleaf"'
  if (!isEst(request.url ?? '') || request.headers.accept?.includes('application/problem+json'))
    return {
      status,
      headers: { ...headers, 'Content-Type': 'application/problem+json' },
      body: JSON.stringify(document),
    }
  // BouncyCastle fails on a 401 with a body; people read the reason in the header.
  if (status === 401) return { status, headers: { ...headers, 'Everleaf-Problem': headerText(document.detail) } }
  return { status, headers: { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }, body: `${document.detail}\n` }
}

/** A disk or database that fails: which one is the operator's business, not the device's. */
const isOurTrouble = (error: unknown): boolean => isEverleafError(error, 'unavailable') && error.cause !== undefined

/** The head of an answer stays under 1,024 bytes: strongSwan reads that much first. */
const headerText = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, 300)
