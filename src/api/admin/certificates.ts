import { z } from 'zod'
import { EverleafError } from '../../errors.ts'
import { explainCertificate } from '../../lifecycle/explain-certificate.ts'
import { importCertificates } from '../../lifecycle/import-certificates.ts'
import { revokeCertificate } from '../../lifecycle/revoke-certificate.ts'
import { encodePem } from '../../protocol/pem.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { deviceId, instantText, limit, certificateParams as params, revocationReason, serialText } from './schemas.ts'
import { certificateView, decisionView, viewCertificate, viewDecision } from './views.ts'

const cursor = z
  .string()
  .max(256)
  .transform((text, context) => {
    const slash = text.lastIndexOf('/')
    const serial = serialText.safeParse(text.slice(slash + 1))
    if (slash > 0 && serial.success) return { authority: text.slice(0, slash), serial: serial.data }
    context.addIssue({ code: 'custom', message: 'it is the `next` of the page before: authority/serial' })
    return z.NEVER
  })

const listQuery = z.strictObject({
  device: deviceId.optional(),
  state: certificateView.shape.state.optional(),
  source: certificateView.shape.source.optional(),
  expiresBefore: instantText.optional(),
  after: cursor.optional().describe('The `next` of the page before.'),
  limit,
})
const listView = z.object({ certificates: z.array(certificateView), next: z.string().nullable() })
const revokeBody = z.strictObject({ reason: revocationReason.default('unspecified') })
const importBody = z.strictObject({
  pem: z.string().min(1),
  source: z.enum(['imported', 'partner']).default('imported'),
})

/** Enough for the 10,000 certificates that one import may hold. */
const importBytes = 32 * 1024 * 1024

const one = '/api/v1/certificates/:authority/:serial'

export const certificateRoutes = (app: AdminApp, { ports }: AdminDependencies): void => {
  app.get(
    '/api/v1/certificates',
    {
      schema: {
        summary: 'List certificates by authority and serial',
        querystring: listQuery,
        response: { 200: listView },
      },
    },
    async ({ query }) => {
      const certificates = await ports.store.certificates.list(query)
      const last = certificates.length === query.limit ? certificates.at(-1) : undefined
      return { certificates: certificates.map(viewCertificate), next: last ? `${last.authority}/${last.serial}` : null }
    },
  )

  app.get(
    one,
    {
      schema: { summary: 'Show a certificate', params, response: { 200: certificateView.extend({ pem: z.string() }) } },
    },
    async ({ params }) => {
      const certificate = await ports.store.certificates.get(params)
      if (!certificate)
        throw new EverleafError('not-found', `no certificate ${params.serial} of authority ${params.authority}`)
      return { ...viewCertificate(certificate), pem: encodePem('CERTIFICATE', certificate.der) }
    },
  )

  app.get(
    `${one}/why`,
    {
      schema: {
        summary: 'Say why a certificate is as it is and what comes next',
        params,
        response: { 200: z.object({ certificate: certificateView, lines: z.array(z.string()) }) },
      },
    },
    async ({ params }) => {
      const { certificate, lines } = await explainCertificate(params, ports)
      return { certificate: viewCertificate(certificate), lines }
    },
  )

  app.post(
    `${one}/revoke`,
    {
      schema: {
        summary: 'Revoke a certificate and what was got by it',
        params,
        body: revokeBody,
        response: { 200: decisionView.extend({ serials: z.array(z.string()) }) },
      },
    },
    async ({ params, body: { reason } }) => {
      const decision = await revokeCertificate({ key: params, reason }, ports)
      return { ...viewDecision(decision), serials: decision.serials }
    },
  )

  app.post(
    '/api/v1/certificates/import',
    {
      bodyLimit: importBytes,
      schema: {
        summary: 'Watch certificates issued elsewhere',
        body: importBody,
        response: { 200: z.object({ imported: z.array(z.string()), duplicates: z.array(z.string()) }) },
      },
    },
    ({ body }) => importCertificates(body, ports),
  )
}
