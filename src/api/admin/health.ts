import { z } from 'zod'
import type { AdminApp, AdminDependencies } from './app.ts'

const readiness = z.object({ ready: z.boolean(), reasons: z.array(z.string()) })

/** For probes and scrapers. Alive: the process answers. Ready: it can do its work. */
export const healthRoutes = (app: AdminApp, { ready, metrics }: AdminDependencies): void => {
  app.get(
    '/healthz',
    { schema: { summary: 'Tell that the process answers', response: { 200: z.object({ alive: z.literal(true) }) } } },
    async () => ({ alive: true as const }),
  )

  app.get(
    '/readyz',
    { schema: { summary: 'Tell whether it can do its work', response: { 200: readiness, 503: readiness } } },
    async (_request, reply) => {
      const state = await ready()
      return reply.code(state.ready ? 200 : 503).send(state)
    },
  )

  app.get('/metrics', { schema: { summary: 'Show the metrics, as Prometheus reads them' } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  )
}
