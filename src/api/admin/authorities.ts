import { z } from 'zod'
import type { Authority } from '../../authority/authority.ts'
import { encodePem } from '../../protocol/pem.ts'
import type { AdminApp, AdminDependencies } from './app.ts'

const authorityView = z.object({
  id: z.string(),
  subject: z.string(),
  serial: z.string(),
  fingerprint: z.string(),
  notBefore: z.string(),
  notAfter: z.string(),
  issues: z.boolean().describe('New certificates come from it.'),
  signsCrls: z.boolean(),
  root: z.string().describe('Fingerprint of the root above it.'),
  pem: z.string(),
})

const viewAuthority = (authority: Authority, issuing: string): z.output<typeof authorityView> => {
  const { id, certificate, chain, crlSigner } = authority
  return {
    id,
    subject: certificate.subjectText,
    serial: certificate.serial,
    fingerprint: certificate.fingerprint,
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    issues: id === issuing,
    signsCrls: crlSigner !== null,
    root: chain.at(-1)?.fingerprint ?? certificate.fingerprint,
    pem: encodePem('CERTIFICATE', certificate.der),
  }
}

export const authorityRoutes = (app: AdminApp, { ports: { authorities } }: AdminDependencies): void => {
  app.get(
    '/api/v1/authorities',
    {
      schema: { summary: 'List the authorities', response: { 200: z.object({ authorities: z.array(authorityView) }) } },
    },
    async () => ({ authorities: authorities.all.map((each) => viewAuthority(each, authorities.issuing.id)) }),
  )
}
