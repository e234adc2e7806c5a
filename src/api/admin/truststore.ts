import { z } from 'zod'
import { EverleafError } from '../../errors.ts'
import { planTruststore, publishTruststore } from '../../lifecycle/publish-truststore.ts'
import type { TrustAnchor } from '../../model.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { forceBody } from './schemas.ts'
import { decisionView, viewDecision } from './views.ts'

const anchorView = z.object({
  fingerprint: z.string(),
  subject: z.string(),
  source: z.enum(['authority', 'partner']),
  state: z.enum(['incoming', 'active', 'retiring', 'retired']),
  notAfter: z.string(),
})

const viewAnchor = ({ fingerprint, subject, source, state, notAfter }: TrustAnchor): z.output<typeof anchorView> => ({
  fingerprint,
  subject,
  source,
  state,
  notAfter: new Date(notAfter).toISOString(),
})

const truststoreView = z.object({
  version: z.number(),
  digest: z.string(),
  publishedAt: z.string(),
  anchors: z.array(anchorView),
  pem: z.string(),
})

const planView = z.object({
  version: z.number(),
  added: z.array(z.string()),
  removed: z.array(z.string()),
  lost: z.array(z.string()),
  violations: z.array(z.string()),
  anchors: z.array(anchorView),
  pem: z.string(),
})

const rollbackBody = z.strictObject({ version: z.number().int().min(1) })

export const truststoreRoutes = (app: AdminApp, { ports }: AdminDependencies): void => {
  app.get(
    '/api/v1/truststore',
    { schema: { summary: 'Show the published truststore', response: { 200: truststoreView } } },
    async () => {
      const latest = await ports.store.truststores.latest()
      if (!latest) throw new EverleafError('not-found', 'no truststore was published yet')
      const { version, digest, publishedAt, pem } = latest
      const anchors = (await ports.store.anchors.list()).filter((anchor) => latest.anchors.includes(anchor.fingerprint))
      return {
        version,
        digest,
        publishedAt: new Date(publishedAt).toISOString(),
        anchors: anchors.map(viewAnchor),
        pem,
      }
    },
  )

  app.get(
    '/api/v1/truststore/plan',
    { schema: { summary: 'Show what the next version would change', response: { 200: planView } } },
    async () => {
      const plan = await planTruststore(ports)
      return { ...plan, anchors: plan.anchors.map(viewAnchor) }
    },
  )

  app.post(
    '/api/v1/truststore/publish',
    {
      schema: {
        summary: 'Publish the next version where one is due',
        body: forceBody,
        response: { 200: decisionView },
      },
    },
    async ({ body }) => viewDecision(await publishTruststore(body, ports)),
  )

  app.post(
    '/api/v1/truststore/rollback',
    {
      schema: {
        summary: 'Publish the anchors of an earlier version under a new number',
        body: rollbackBody,
        response: { 200: decisionView },
      },
    },
    async ({ body: { version } }) => viewDecision(await publishTruststore({ rollbackTo: version }, ports)),
  )
}
