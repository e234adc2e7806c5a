import { z } from 'zod'
import { EverleafError } from '../../errors.ts'
import { createToken } from '../../lifecycle/create-token.ts'
import type { Ports } from '../../lifecycle/ports.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { enrolmentCommand } from './enrolment-command.ts'
import { deviceId, durationText } from './schemas.ts'

const tokenBody = z.strictObject({
  device: deviceId,
  profile: z.string().optional().describe('May be left out where there is one profile, or one named default.'),
  ttl: durationText.prefault('1h').describe('How long the token can be used, e.g. 1h.'),
  labels: z.record(z.string().min(1).max(64), z.string().max(256)).default({}),
})

const tokenView = z.object({
  token: z.string(),
  device: z.string(),
  profile: z.string(),
  expiresAt: z.string(),
  server: z.string(),
  fingerprint: z.string().describe('SHA-256 of the root certificate, for the first contact.'),
  command: z.string().describe('What to type at the device.'),
})

export const tokenRoutes = (app: AdminApp, { ports, server }: AdminDependencies): void => {
  app.post(
    '/api/v1/tokens',
    { schema: { summary: 'Make a one-time enrolment token', body: tokenBody, response: { 201: tokenView } } },
    async ({ body }, reply) => {
      const request = { ...body, profile: body.profile ?? usualProfile(ports.profiles) }
      const { token, device, profile, expiresAt } = await createToken(request, ports)
      const contact = {
        server: server.deviceUrl,
        fingerprint: ports.authorities.issuing.chain.at(-1)?.fingerprint ?? '',
      }
      return reply.code(201).send({
        token,
        device,
        profile,
        expiresAt: new Date(expiresAt).toISOString(),
        ...contact,
        command: enrolmentCommand({ token, device, ...contact }),
      })
    },
  )
}

const usualProfile = (profiles: Ports['profiles']): string => {
  const [only, ...others] = profiles.keys()
  if (only !== undefined && others.length === 0) return only
  if (profiles.has('default')) return 'default'
  throw new EverleafError('bad-input', `name the profile; there are ${[...profiles.keys()].join(', ') || 'none'}`)
}
