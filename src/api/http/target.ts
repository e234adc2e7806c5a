import type { IncomingMessage } from 'node:http'
import { StatusError } from '../problem.ts'

/** Headers that mean one thing: a second one is a way to smuggle, or a broken client (RFC 9112 §3.2). */
const single = new Set(['host', 'authorization', 'content-type', 'content-length', 'transfer-encoding', 'expect'])

/**
 * The path of a request that is in strict form: HTTP/1.0 or 1.1, an absolute path (or absolute-form, RFC 9112 §3.2.2) of
 * visible ASCII without a fragment, and no header twice that may stand once. `node:http` is laxer.
 */
export const strictTarget = (request: IncomingMessage): { path: string; query: string } => {
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0')
    throw new StatusError(400, `HTTP/${request.httpVersion} is not spoken here; use HTTP/1.1`)
  const seen = new Set<string>()
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = (request.rawHeaders[index] ?? '').toLowerCase()
    if (single.has(name) && seen.has(name)) throw new StatusError(400, `two ${name} headers; send one`)
    seen.add(name)
  }
  if (!/^[A-Za-z0-9.\-_:[\]]{0,255}$/.test(request.headers.host ?? ''))
    throw new StatusError(400, 'the Host header is not a name or an address with an optional port')
  const { expect } = request.headers
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    throw new StatusError(417, 'the only expectation met here is 100-continue')
  const target = /^(?:https?:\/\/[A-Za-z0-9.\-_:[\]]+)?(\/[!-~]*)$/i.exec(request.url ?? '')?.[1]
  if (target === undefined || target.includes('#'))
    throw new StatusError(400, 'the request target is not an absolute path of visible ASCII characters')
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}
