import { z } from 'zod'
import { revocationReasons } from '../pki/revocation-reasons.ts'

/**
 * Every event that leaves Everleaf, with the shape of its `detail`. Keys are PascalCase as ACM writes them. What can be
 * unknown is left out, never null. Fields are only ever added: the exported JSON Schemas allow keys that they do not name.
 */

const text = z.string().min(1)
const count = z.int().min(0)
const iso = z.iso.datetime().describe('Instant, ISO 8601 in UTC')
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const serial = z.string().regex(/^(?:[0-9a-f]{2})+$/)
const crlNumber = z.string().regex(/^[0-9]+$/)
const hasFourDecimals = (days: number): boolean => Math.abs(days * 1e4 - Math.round(days * 1e4)) < 1e-3
/** Whole for a long life, a fraction for a short one, negative when past. */
const days = z.number().refine(hasFourDecimals, 'more than four decimals').describe('Days, at most four decimals')

const revocationReason = z.enum(revocationReasons)

const certificate = {
  CommonName: z.string().describe('Common name of the subject, or the whole subject where it has none'),
  CertificateAuthority: text.describe('Id of the authority, or name of the issuer of one issued elsewhere'),
  SerialNumber: serial,
  NotAfter: iso,
  DeviceId: text.optional(),
  Profile: text.optional(),
  Source: z.enum(['issued', 'listener', 'authority', 'imported', 'partner']).optional(),
}
const renewed = {
  ...certificate,
  NotBefore: iso,
  PredecessorSerialNumber: serial,
  Keys: z.enum(['rekey', 'reuse']).optional(),
}
const shard = { CertificateAuthority: text, Shard: count }
const digests = {
  TruststoreVersion: count.optional(),
  TruststoreSha256: sha256.optional(),
  CrlSha256: sha256.optional(),
}

/** The schema of `detail` for each detail-type. */
export const eventSchemas = {
  'Certificate Issued': z.strictObject({ ...certificate, NotBefore: iso }),
  'Certificate Renewed': z.strictObject(renewed),
  'Certificate Renewed After Expiry': z.strictObject({ ...renewed, DaysPastExpiry: days }),
  'Certificate Delivered': z.strictObject(certificate),
  'Certificate Confirmed': z.strictObject({ ...certificate, PredecessorSerialNumber: serial.optional() }),
  'Certificate Revoked': z.strictObject({ ...certificate, Reason: revocationReason, RevokedAt: iso }),
  'Certificate Expired': z.strictObject({ ...certificate, SuccessorSerialNumber: serial.optional() }),
  'Certificate Approaching Expiration': z.strictObject({
    ...certificate,
    DaysToExpiry: days,
    ThresholdDays: days.optional(),
  }),
  'Certificate Renewal Overdue': z.strictObject({
    ...certificate,
    DaysToExpiry: days,
    RenewalDueAt: iso,
    LastContactAt: iso.optional(),
    Reason: text.optional(),
  }),
  'Certificate Renewal Failed': z.strictObject({ ...certificate, DaysToExpiry: days.optional(), Reason: text }),
  'Device Enrolled': z.strictObject({
    DeviceId: text,
    Profile: text,
    CertificateAuthority: text.optional(),
    SerialNumber: serial.optional(),
    Labels: z.record(z.string(), z.string()).optional(),
  }),
  'Device Retired': z.strictObject({ DeviceId: text, Reason: text, RevokedCertificates: count }),
  'Lineage Forked': z.strictObject({
    DeviceId: text,
    Profile: text.optional(),
    CertificateAuthority: text,
    SerialNumber: serial.describe('The certificate that was renewed with more than one key'),
    SuccessorSerialNumbers: z.array(serial),
    Reason: text.optional(),
  }),
  'Truststore Published': z.strictObject({
    Version: count,
    Sha256: sha256,
    Certificates: count,
    Added: z.array(sha256).optional().describe('Fingerprints of the anchors that the version before had not'),
    Removed: z.array(sha256).optional().describe('Fingerprints of the anchors that only the version before had'),
    RolledBackTo: count.optional(),
    Reason: text.optional(),
  }),
  'Truststore Refused': z.strictObject({ Reason: text, Version: count.optional(), Gateway: text.optional() }),
  'CRL Published': z.strictObject({
    ...shard,
    CrlNumber: crlNumber,
    Entries: count,
    ThisUpdate: iso,
    NextUpdate: iso,
    Sha256: sha256,
    Reason: text.optional(),
  }),
  'CRL Refused': z.strictObject({ ...shard, CrlNumber: crlNumber.optional(), Reason: text }),
  'CRL Stale': z.strictObject({
    ...shard,
    CrlNumber: crlNumber.optional(),
    NextUpdate: iso.optional(),
    Reason: text.optional(),
  }),
  'Gateway Updated': z.strictObject({ Gateway: text, ...digests, Reason: text.optional() }),
  'Gateway Drifted': z.strictObject({
    Gateway: text,
    ...digests,
    ObservedTruststoreSha256: sha256.optional(),
    ObservedCrlSha256: sha256.optional(),
    Reason: text,
  }),
  'Gateway Warning': z.strictObject({ Gateway: text, Reason: text }),
  'Authority Expiring': z.strictObject({
    CertificateAuthority: text,
    CommonName: z.string(),
    SerialNumber: serial,
    NotAfter: iso,
    DaysToExpiry: days,
    ThresholdDays: days.optional(),
  }),
} as const

export type DetailType = keyof typeof eventSchemas
export type EventDetails = { [Type in DetailType]: z.infer<(typeof eventSchemas)[Type]> }

export const detailTypes = Object.keys(eventSchemas) as DetailType[]

/** JSON Schema (draft 2020-12) of the `detail` of each detail-type. */
export const eventJsonSchemas = (): Record<DetailType, object> => {
  const schemas: Partial<Record<DetailType, object>> = {}
  for (const type of detailTypes)
    schemas[type] = { title: type, ...z.toJSONSchema(eventSchemas[type], { override: open }) }
  return schemas as Record<DetailType, object>
}

const open = ({ jsonSchema }: { jsonSchema: { additionalProperties?: unknown } }): void => {
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
}
