import type { Authority } from '../authority/authority.ts'
import { EverleafError } from '../errors.ts'
import type { Certificate, Device, Instant, Profile } from '../model.ts'
import { type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { validatePath } from '../pki/path.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import { admitClient, type ClientPurpose } from '../policy/client.ts'
import { certificatesOfDevice } from './certificates-of-device.ts'
import type { Ports } from './ports.ts'

export interface Identified {
  certificate: Certificate
  device: Device
  profile: Profile | null
  parsed: ParsedCertificate
}

/**
 * Who presents `certificate` (leaf, DER; the handshake proved its key), decided anew on every request from the inventory.
 * Throws `unauthenticated` for a certificate that is not one of ours, `forbidden` for one that may not do this now.
 */
export const identifyDevice = async (
  request: { certificate: Uint8Array; purpose: ClientPurpose },
  { store, clock, authorities, profiles }: Pick<Ports, 'store' | 'clock' | 'authorities' | 'profiles'>,
): Promise<Identified> => {
  const now = clock.now()
  const parsed = parseCertificate(request.certificate) // gather
  const authority = issuerOf(parsed, authorities.all)
  const certificate = authority && (await store.certificates.get({ authority: authority.id, serial: parsed.serial }))
  if (!certificate || !sameBytes(certificate.der, parsed.der))
    throw new EverleafError(
      'unauthenticated',
      `certificate ${parsed.serial} of ${parsed.issuerText} was not issued here`,
    )
  const device = certificate.device === null ? null : await store.devices.get(certificate.device)
  const profile = certificate.profile === null ? null : (profiles.get(certificate.profile) ?? null)
  const hasConfirmedSuccessor = now > certificate.notAfter && (await isOutlived(certificate, store))
  const decision = admitClient({ certificate, device, profile, hasConfirmedSuccessor, purpose: request.purpose, now }) // decide
  if (decision.act === 'refuse' || device === null) throw new EverleafError('forbidden', decision.message)
  refuseBrokenPath(parsed, authority, { now, forgiveAge: decision.reason === 'grace' })
  return { certificate, device, profile, parsed }
}

/** Whether a later certificate of the lineage was seen in use, got by renewal or by a new enrolment. */
const isOutlived = async (certificate: Certificate, store: Ports['store']): Promise<boolean> => {
  if (certificate.supersededAt !== null || certificate.device === null) return true
  const all = await certificatesOfDevice(certificate.device, store)
  return all.some(
    ({ confirmedAt, profile, issuedAt }) =>
      confirmedAt !== null && profile === certificate.profile && issuedAt > certificate.issuedAt,
  )
}

/** The authority that issued it, by name and, where it has one, key identifier; null: none of ours. */
export const issuerOf = (certificate: ParsedCertificate, all: readonly Authority[]): Authority | null => {
  const { issuer, authorityKeyIdentifier } = certificate
  const hasKey = (identifier: Uint8Array | null): boolean =>
    authorityKeyIdentifier === null || (identifier !== null && sameBytes(identifier, authorityKeyIdentifier))
  const isIssuer = ({ certificate: { subject, subjectKeyIdentifier } }: Authority): boolean =>
    sameBytes(subject, issuer) && hasKey(subjectKeyIdentifier)
  return all.find(isIssuer) ?? null
}

const refuseBrokenPath = (
  leaf: ParsedCertificate,
  authority: Authority,
  { now, forgiveAge }: { now: Instant; forgiveAge: boolean },
): void => {
  const path = validatePath({
    leaf,
    intermediates: authority.chain.slice(0, -1),
    anchors: authority.chain.slice(-1),
    now,
    purpose: 'clientAuth',
    ...(forgiveAge ? { allowExpiredLeafUntil: now } : {}),
  })
  if (!path.ok) throw new EverleafError('forbidden', path.message)
}
