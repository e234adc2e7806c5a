import { createServer } from 'node:http'
import { messageOf } from '../../errors.ts'
import type { Ports } from '../../lifecycle/ports.ts'
import type { Answer } from '../http/answer.ts'
import { type HttpLimits, httpLimits } from '../http/limits.ts'
import { type Exchange, type HttpListener, httpListener } from '../http/listener.ts'
import type { Log } from '../http/log.ts'
import { strictTarget } from '../http/target.ts'
import { problemOf, StatusError } from '../problem.ts'
import { authorityCertificate } from './authority-certificate.ts'
import { type CrlReader, createCrlReader, crlAnswer } from './crl.ts'

export interface PublicServerOptions {
  ports: Pick<Ports, 'publication' | 'authorities' | 'clock' | 'random'>
  log: Log
  limits?: Partial<HttpLimits>
}

/**
 * What the certificates point to: CRLs and CA certificates. Plain HTTP by design (RFC 5280 §8: over TLS it could loop),
 * everything on it is public and signed.
 */
export const createPublicServer = ({ ports, log, limits }: PublicServerOptions): HttpListener => {
  const bounds = { ...httpLimits, ...limits }
  const server = createServer({ maxHeaderSize: bounds.headBytes, connectionsCheckingInterval: bounds.checkInterval })
  const readCrl = createCrlReader(ports)
  const answer = async (exchange: Exchange): Promise<Answer> => {
    try {
      return await route(exchange, readCrl, ports)
    } catch (error) {
      const { status, headers, document } = problemOf(error, ports.random)
      exchange.facts.problem = messageOf(error).slice(0, 500)
      const type = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' }
      return { status, headers: { ...headers, ...type }, body: JSON.stringify(document) }
    }
  }
  return httpListener({ name: 'public', server, answer, clock: ports.clock, log, limits: bounds })
}

const route = async (
  { request }: Exchange,
  readCrl: CrlReader,
  { authorities, clock }: PublicServerOptions['ports'],
): Promise<Answer> => {
  const { path } = strictTarget(request)
  const [, id, shard] = /^\/crl\/([A-Za-z0-9._-]+)\/(0|[1-9][0-9]{0,5})\.crl$/.exec(path) ?? []
  const [, name] = /^\/ca\/([A-Za-z0-9._-]+)\.cer$/.exec(path) ?? []
  const authority = authorities.all.find((each) => each.id === (id ?? name))
  if (authority === undefined) throw new StatusError(404, 'there is nothing at this path')
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new StatusError(405, `${path} takes GET and HEAD`, { Allow: 'GET, HEAD' })
  if (shard === undefined) return authorityCertificate(authority, request.headers)
  return crlAnswer(await readCrl(authority, Number(shard)), request.headers, clock.now())
}
