import type { Certificate, CertificateSource, Duration, Instant } from '../model.ts'
import type { ParsedCertificate } from '../pki/certificate.ts'
import { alertsOf } from '../policy/alerts.ts'
import { fullShard } from './ports.ts'

interface Watch {
  authority: string
  source: Exclude<CertificateSource, 'issued' | 'listener'>
  thresholds: readonly Duration[]
  now: Instant
}

/** The inventory's row of a certificate that is watched and alarmed on, and never renewed. */
export const watchedCertificate = (
  parsed: ParsedCertificate,
  { authority, source, thresholds, now }: Watch,
): Certificate => {
  const [firstAlert] = alertsOf({ ...parsed, slot: null }, thresholds, null)
  const isExpired = parsed.notAfter < now
  return {
    authority,
    serial: parsed.serial,
    device: null,
    profile: null,
    source,
    state: isExpired ? 'expired' : 'confirmed',
    subject: parsed.subjectText,
    spkiSha256: parsed.spkiSha256,
    der: parsed.der,
    notBefore: parsed.notBefore,
    notAfter: parsed.notAfter,
    slot: null,
    renewalOpenedAt: null,
    predecessor: null,
    token: null,
    issuedAt: now,
    deliveredAt: null,
    confirmedAt: null,
    supersededAt: null,
    crlShard: fullShard,
    nextAlertAt: isExpired ? null : (firstAlert?.at ?? null),
  }
}
