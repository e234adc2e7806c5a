import { z } from 'zod'
import { fullShard } from '../../lifecycle/ports.ts'
import { publishCrl } from '../../lifecycle/publish-crl.ts'
import { syncGateway } from '../../lifecycle/sync-gateway.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { authorityId, forceBody } from './schemas.ts'
import { crlView, decisionView, gatewayView, viewCrl, viewDecision, viewGateway } from './views.ts'

const authorityParams = z.strictObject({ authority: authorityId })
const gatewayParams = z.strictObject({ name: z.string().min(1).max(128) })

/** CRLs, and the gateways that enforce them. */
export const publicationRoutes = (app: AdminApp, { ports }: AdminDependencies): void => {
  app.get(
    '/api/v1/crls',
    { schema: { summary: 'List the published CRLs', response: { 200: z.object({ crls: z.array(crlView) }) } } },
    async () => ({ crls: (await ports.store.crls.list()).map(viewCrl) }),
  )

  app.post(
    '/api/v1/crls/:authority/publish',
    {
      schema: {
        summary: 'Publish a CRL where one is due',
        params: authorityParams,
        body: forceBody,
        response: { 200: decisionView },
      },
    },
    async ({ params: { authority }, body: { force } }) =>
      viewDecision(await publishCrl({ authority, shard: fullShard, force }, ports)),
  )

  app.get(
    '/api/v1/gateways',
    {
      schema: {
        summary: 'List gateways and what they enforce',
        response: { 200: z.object({ gateways: z.array(gatewayView) }) },
      },
    },
    async () => ({ gateways: (await ports.store.gateways.list()).map(viewGateway) }),
  )

  app.post(
    '/api/v1/gateways/:name/sync',
    {
      schema: {
        summary: 'Bring a gateway up to date',
        params: gatewayParams,
        body: forceBody,
        response: { 200: decisionView },
      },
    },
    async ({ params: { name }, body: { force } }) => viewDecision(await syncGateway({ gateway: name, force }, ports)),
  )
}
