import type { Certificate, CertificateKey, Instant, Profile } from '../model.ts'
import type { CertificateContent, ParsedCertificate } from '../pki/certificate.ts'
import { inspectPublicKey } from '../pki/key.ts'
import { serialFromBytes } from '../pki/serial.ts'
import { alertsOf } from '../policy/alerts.ts'
import { backdated, drawSlot, expiryOf } from '../policy/slot.ts'
import type { GeneralNames } from '../protocol/general-names.ts'
import { crlKey, fullShard, type Ports } from './ports.ts'

export interface Issuance {
  profile: Profile
  device: string | null
  source: 'issued' | 'listener'
  /** Name, DER. */
  subject: Uint8Array
  san: GeneralNames
  spki: Uint8Array
  predecessor: CertificateKey | null
  token: string | null
}

/**
 * Signs a certificate and makes its inventory row. Nothing is recorded here: the caller inserts the row, and only then
 * does the certificate leave the process (P1).
 */
export const issueCertificate = async (
  issuance: Issuance,
  ports: Pick<Ports, 'authorities' | 'random' | 'settings'>,
  now: Instant,
): Promise<Certificate> => {
  const { issuing } = ports.authorities
  const { profile } = issuance
  const parsed = await issuing.issuer.issue({
    serial: serialFromBytes(ports.random.bytes(16)),
    subject: issuance.subject,
    notBefore: backdated(now, profile.validity),
    notAfter: expiryOf(now, profile.validity, issuing.certificate.notAfter),
    spki: issuance.spki,
    extensions: extensionsOf(issuance, issuing.id, ports.settings.publicUrl),
  })
  return rowOf(parsed, issuance, { authority: issuing.id, fraction: ports.random.fraction(), now })
}

const extensionsOf = (issuance: Issuance, authority: string, publicUrl: string): CertificateContent['extensions'] => {
  const rsa = inspectPublicKey(issuance.spki).type.startsWith('rsa')
  const { dns, uri, ip } = issuance.san
  return {
    keyUsage: rsa ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'],
    extendedKeyUsage: [issuance.source === 'listener' ? 'serverAuth' : 'clientAuth'],
    ...(dns.length + uri.length + ip.length > 0 ? { subjectAlternativeName: issuance.san } : {}),
    crlDistributionPoint: `${publicUrl}/${crlKey(authority, fullShard)}`,
    caIssuers: `${publicUrl}/ca/${authority}.cer`,
  }
}

const rowOf = (
  parsed: ParsedCertificate,
  issuance: Issuance,
  drawn: { authority: string; fraction: number; now: Instant },
): Certificate => {
  const { profile } = issuance
  const slot = drawSlot(parsed, profile.renewal, drawn.fraction)
  const [firstAlert] = alertsOf({ ...parsed, slot }, profile.alerts.expiry, profile.alerts.overdueAfter)
  return {
    authority: drawn.authority,
    serial: parsed.serial,
    device: issuance.device,
    profile: profile.name,
    source: issuance.source,
    state: 'issued',
    subject: parsed.subjectText,
    spkiSha256: parsed.spkiSha256,
    der: parsed.der,
    notBefore: parsed.notBefore,
    notAfter: parsed.notAfter,
    slot,
    renewalOpenedAt: null,
    predecessor: issuance.predecessor,
    token: issuance.token,
    issuedAt: drawn.now,
    deliveredAt: null,
    confirmedAt: null,
    supersededAt: null,
    crlShard: fullShard,
    nextAlertAt: firstAlert?.at ?? null,
  }
}
