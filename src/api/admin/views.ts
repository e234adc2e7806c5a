import { z } from 'zod'
import type { Certificate, CrlRecord, Decision, Device, EventRecord, GatewayRecord, Instant } from '../../model.ts'

/** How the inventory looks from outside: instants as ISO 8601 text, no token hash, no DER. */
const iso = (instant: Instant): string => new Date(instant).toISOString()
const isoOrNull = (instant: Instant | null): string | null => (instant === null ? null : iso(instant))

const key = z.object({ authority: z.string(), serial: z.string() })

export const deviceView = z.object({
  id: z.string(),
  profile: z.string(),
  labels: z.record(z.string(), z.string()),
  state: z.enum(['active', 'retired']),
  createdAt: z.string(),
  lastContactAt: z.string().nullable(),
  agentVersion: z.string().nullable(),
  lastError: z.string().nullable(),
})

export const viewDevice = (device: Device): z.output<typeof deviceView> => ({
  ...device,
  createdAt: iso(device.createdAt),
  lastContactAt: isoOrNull(device.lastContactAt),
})

export const certificateView = key.extend({
  device: z.string().nullable(),
  profile: z.string().nullable(),
  source: z.enum(['issued', 'listener', 'authority', 'imported', 'partner']),
  state: z.enum(['issued', 'delivered', 'confirmed', 'superseded', 'revoked', 'expired']),
  subject: z.string(),
  spkiSha256: z.string(),
  notBefore: z.string(),
  notAfter: z.string(),
  slot: z.string().nullable(),
  renewalOpenedAt: z.string().nullable(),
  predecessor: key.nullable(),
  issuedAt: z.string(),
  deliveredAt: z.string().nullable(),
  confirmedAt: z.string().nullable(),
  supersededAt: z.string().nullable(),
  crlShard: z.number(),
  nextAlertAt: z.string().nullable(),
})

export const viewCertificate = (certificate: Certificate): z.output<typeof certificateView> => {
  const { authority, serial, device, profile, source, state, subject, spkiSha256, crlShard, predecessor } = certificate
  const named = { authority, serial, device, profile, source, state, subject, spkiSha256, crlShard, predecessor }
  return {
    ...named,
    notBefore: iso(certificate.notBefore),
    notAfter: iso(certificate.notAfter),
    slot: isoOrNull(certificate.slot),
    renewalOpenedAt: isoOrNull(certificate.renewalOpenedAt),
    issuedAt: iso(certificate.issuedAt),
    deliveredAt: isoOrNull(certificate.deliveredAt),
    confirmedAt: isoOrNull(certificate.confirmedAt),
    supersededAt: isoOrNull(certificate.supersededAt),
    nextAlertAt: isoOrNull(certificate.nextAlertAt),
  }
}

export const crlView = z.object({
  authority: z.string(),
  shard: z.number(),
  number: z.string(),
  thisUpdate: z.string(),
  nextUpdate: z.string(),
  entries: z.number(),
  digest: z.string(),
})

/** The number may be larger than a JSON number holds. */
export const viewCrl = (record: CrlRecord): z.output<typeof crlView> => ({
  ...record,
  number: String(record.number),
  thisUpdate: iso(record.thisUpdate),
  nextUpdate: iso(record.nextUpdate),
})

export const gatewayView = z.object({
  name: z.string(),
  state: z.enum(['pending', 'current', 'failed', 'drifted']),
  truststoreVersion: z.number().nullable(),
  truststoreDigest: z.string().nullable(),
  crlDigest: z.string().nullable(),
  message: z.string(),
  updatedAt: z.string(),
})

export const viewGateway = (record: GatewayRecord): z.output<typeof gatewayView> => ({
  ...record,
  updatedAt: iso(record.updatedAt),
})

export const eventView = z.object({
  sequence: z.number(),
  id: z.string(),
  time: z.string(),
  detailType: z.string(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
})

export const viewEvent = (event: EventRecord): z.output<typeof eventView> => ({ ...event, time: iso(event.time) })

export const decisionView = z.object({ act: z.string(), reason: z.string(), message: z.string() })

export const viewDecision = ({ act, reason, message }: Decision): z.output<typeof decisionView> => ({
  act,
  reason,
  message,
})
