import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Ports } from '../../lifecycle/ports.ts'
import type { Queue } from '../../queue/queue.ts'
import type { Log } from '../http/log.ts'

export type AdminApp = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

export interface Readiness {
  ready: boolean
  /** What is missing, in words. */
  reasons: string[]
}

/** What the administration reads and drives. */
export interface AdminDependencies {
  ports: Ports
  queue: Pick<Queue, 'deadLetters' | 'retry'>
  /** SHA-256 of the bearer token, hexadecimal. */
  tokenHash: string
  ready(): Readiness | Promise<Readiness>
  /** Called after an operator changed something, so that what follows from it need not wait for the next sweep. */
  changed(): void
  /** A registry of prom-client. */
  metrics: { contentType: string; metrics(): Promise<string> }
  server: ServerFacts
  log: Log
}

/** What the server is and where its listeners are. */
export interface ServerFacts {
  version: string
  /** https URL that devices use. */
  deviceUrl: string
  publicUrl: string
  /** Where each listener listens, e.g. `{ device: '0.0.0.0:8443' }`. */
  addresses(): Record<string, string>
}
