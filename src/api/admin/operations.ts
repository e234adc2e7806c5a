import { z } from 'zod'
import { EverleafError } from '../../errors.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { limit } from './schemas.ts'
import { eventView, viewEvent } from './views.ts'

const eventsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).optional().describe('Events after this sequence; left out: the newest.'),
  limit,
})

const deadLetterView = z.object({
  name: z.string(),
  id: z.string(),
  payload: z.record(z.string(), z.unknown()),
  attempts: z.number(),
  failedAt: z.string(),
  reason: z.string(),
})

const deadLetterParams = z.strictObject({ name: z.string().min(1).max(128), id: z.string().min(1).max(512) })

const statusView = z.object({
  version: z.string(),
  time: z.string(),
  ready: z.boolean(),
  reasons: z.array(z.string()),
  listeners: z.record(z.string(), z.string()),
  deviceUrl: z.string(),
  publicUrl: z.string(),
  authority: z.string().describe('The one that issues.'),
  fingerprint: z.string().describe('SHA-256 of the root certificate.'),
  profiles: z.array(z.string()),
  certificates: z.record(z.string(), z.number()).describe('How many in each state.'),
  gateways: z.record(z.string(), z.string()).describe('The state of each.'),
  deadLetters: z.number(),
})

/** What happened, what failed for good, and how things stand. */
export const operationRoutes = (app: AdminApp, { ports, queue, ready, server }: AdminDependencies): void => {
  app.get(
    '/api/v1/events',
    {
      schema: {
        summary: 'List events, oldest first',
        querystring: eventsQuery,
        response: { 200: z.object({ events: z.array(eventView), next: z.number().describe('Give it as `after`.') }) },
      },
    },
    async ({ query: { after, limit } }) => {
      const { events } = ports.store
      const found = after === undefined ? await events.tail(limit) : await events.after(after, limit)
      return { events: found.map(viewEvent), next: found.at(-1)?.sequence ?? after ?? 0 }
    },
  )

  app.get(
    '/api/v1/dead-letters',
    {
      schema: {
        summary: 'List jobs that failed for good',
        response: { 200: z.object({ deadLetters: z.array(deadLetterView) }) },
      },
    },
    async () => {
      const letters = await queue.deadLetters()
      return {
        deadLetters: letters.map(({ job, attempts, failedAt, reason }) => ({
          ...job,
          attempts,
          failedAt: new Date(failedAt).toISOString(),
          reason,
        })),
      }
    },
  )

  app.post(
    '/api/v1/dead-letters/:name/:id/retry',
    {
      schema: {
        summary: 'Put a failed job back',
        params: deadLetterParams,
        response: { 200: z.object({ retried: z.literal(true) }) },
      },
    },
    async ({ params: { name, id } }) => {
      if (!(await queue.retry(name, id))) throw new EverleafError('not-found', `no dead letter ${name} ${id}`)
      return { retried: true as const }
    },
  )

  app.get(
    '/api/v1/status',
    { schema: { summary: 'Show how things stand', response: { 200: statusView } } },
    async () => {
      const { store, clock, authorities, profiles } = ports
      const gateways = await store.gateways.list()
      return {
        version: server.version,
        time: new Date(clock.now()).toISOString(),
        ...(await ready()),
        listeners: server.addresses(),
        deviceUrl: server.deviceUrl,
        publicUrl: server.publicUrl,
        authority: authorities.issuing.id,
        fingerprint: authorities.issuing.chain.at(-1)?.fingerprint ?? '',
        profiles: [...profiles.keys()],
        certificates: await store.certificates.count(),
        gateways: Object.fromEntries(gateways.map(({ name, state }) => [name, state])),
        deadLetters: (await queue.deadLetters()).length,
      }
    },
  )
}
