import type { FastifyRequest } from 'fastify'
import { StatusError } from '../problem.ts'

const isLoopback = (name: string): boolean =>
  name === 'localhost' || name === '[::1]' || /^127(\.[0-9]{1,3}){3}$/.test(name)

/**
 * Answers only to loopback and the configured names. A web page whose name was pointed at this address (DNS rebinding)
 * comes with its own name in Host.
 */
export const hostCheck = (names: readonly string[]): ((request: FastifyRequest) => void) => {
  const allowed = new Set(names.map((name) => name.toLowerCase()))
  return ({ headers: { host = '' } }) => {
    const name = host.replace(/:[0-9]{1,5}$/, '').toLowerCase()
    if (isLoopback(name) || allowed.has(name) || allowed.has(name.replace(/^\[(.*)\]$/, '$1'))) return
    const known = ['localhost', ...allowed].join(', ')
    throw new StatusError(403, `this listener answers to ${known}, not to ${JSON.stringify(name.slice(0, 100))}`)
  }
}
