import { z } from 'zod'
import { EverleafError } from '../../errors.ts'
import { retireDevice } from '../../lifecycle/retire-device.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { deviceId, limit, revocationReason } from './schemas.ts'
import { deviceView, viewDevice } from './views.ts'

const listQuery = z.strictObject({
  state: z.enum(['active', 'retired']).optional(),
  after: deviceId.optional().describe('The `next` of the page before.'),
  limit,
})
const listView = z.object({ devices: z.array(deviceView), next: z.string().nullable() })
const params = z.strictObject({ id: deviceId })
const retireBody = z.strictObject({ reason: revocationReason.default('cessationOfOperation') })

export const deviceRoutes = (app: AdminApp, { ports }: AdminDependencies): void => {
  app.get(
    '/api/v1/devices',
    { schema: { summary: 'List devices by id', querystring: listQuery, response: { 200: listView } } },
    async ({ query }) => {
      const devices = await ports.store.devices.list(query)
      return {
        devices: devices.map(viewDevice),
        next: devices.length === query.limit ? (devices.at(-1)?.id ?? null) : null,
      }
    },
  )

  app.get(
    '/api/v1/devices/:id',
    { schema: { summary: 'Show a device', params, response: { 200: deviceView } } },
    async ({ params: { id } }) => {
      const device = await ports.store.devices.get(id)
      if (!device) throw new EverleafError('not-found', `no device ${id}`)
      return viewDevice(device)
    },
  )

  app.post(
    '/api/v1/devices/:id/retire',
    {
      schema: {
        summary: 'Take a device out of service and revoke what it has',
        params,
        body: retireBody,
        response: { 200: z.object({ revoked: z.number() }) },
      },
    },
    ({ params: { id }, body: { reason } }) => retireDevice({ device: id, reason }, ports),
  )
}
