import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { EverleafError } from '../../errors.ts'
import { StatusError } from '../problem.ts'

/** Probes and the description of the API tell nothing that is not public. */
const open = new Set(['/healthz', '/readyz', '/api/v1/openapi.json'])

/** Lets through what is open and what bears the token. Hashes are compared, in constant time. */
export const bearerCheck = (tokenHash: string): ((request: FastifyRequest) => void) => {
  const expected = Buffer.from(tokenHash, 'hex')
  if (expected.length !== 32)
    throw new EverleafError('configuration', 'the hash of the admin token is not a SHA-256 in hexadecimal')
  return (request) => {
    if (open.has(request.url.split('?', 1)[0] ?? '')) return
    const token = /^bearer +([!-~]{1,512})$/i.exec(request.headers.authorization ?? '')?.[1]
    const presented = createHash('sha256')
      .update(token ?? '')
      .digest()
    if (token === undefined || !timingSafeEqual(presented, expected))
      throw new StatusError(
        401,
        token === undefined
          ? 'this call needs "Authorization: Bearer" and the admin token'
          : 'this is not the admin token',
        {
          'WWW-Authenticate': 'Bearer realm="everleaf"',
        },
      )
  }
}
