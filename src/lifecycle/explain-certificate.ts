import { EverleafError } from '../errors.ts'
import type { Certificate, CertificateKey, Instant, Profile } from '../model.ts'
import type { Ports } from './ports.ts'
import { iso } from './record-event.ts'

/** Why a certificate is as it is and what happens to it next, in sentences. */
export const explainCertificate = async (
  key: CertificateKey,
  { store, clock, profiles }: Pick<Ports, 'store' | 'clock' | 'profiles'>,
): Promise<{ certificate: Certificate; lines: string[] }> => {
  const now = clock.now()
  const certificate = await store.certificates.get(key)
  if (!certificate) throw new EverleafError('not-found', `no certificate ${key.serial} of authority ${key.authority}`)
  const successors = await store.certificates.successorsOf(key)
  const revocation = await store.revocations.get(key)
  const device = certificate.device === null ? null : await store.devices.get(certificate.device)
  const lines = [
    originOf(certificate),
    ...historyOf(certificate),
    ...(revocation
      ? [
          `revoked at ${iso(revocation.revokedAt)}, reason ${revocation.reason}; ${revocation.publishedIn === null ? 'no published CRL holds it yet' : `first in CRL ${revocation.publishedIn}`}`,
        ]
      : []),
    now > certificate.notAfter ? `expired at ${iso(certificate.notAfter)}` : `valid until ${iso(certificate.notAfter)}`,
    ...successors.map(({ serial, state }) => `succeeded by ${serial}, ${state}`),
    renewalOf(certificate, profiles.get(certificate.profile ?? '') ?? null, now),
    ...(device
      ? [
          `device ${device.id} is ${device.state}, last seen ${device.lastContactAt === null ? 'never' : iso(device.lastContactAt)}${device.lastError ? `, its last error: ${device.lastError}` : ''}`,
        ]
      : []),
    ...(certificate.nextAlertAt === null ? [] : [`looked at for alerts next at ${iso(certificate.nextAlertAt)}`]),
  ]
  return { certificate, lines }
}

const originOf = ({ source, device, profile, authority, predecessor }: Certificate): string => {
  if (source === 'issued')
    return `issued by ${authority} to ${device} under profile ${profile}${predecessor ? `, succeeding ${predecessor.serial}` : ', by enrolment'}`
  if (source === 'listener') return `issued by ${authority} to this server's device listener`
  return `${source} certificate: watched and alarmed on, not renewed`
}

const historyOf = ({ issuedAt, deliveredAt, confirmedAt, supersededAt }: Certificate): string[] =>
  [
    ['recorded', issuedAt],
    ['delivered', deliveredAt],
    ['first seen in use', confirmedAt],
    ['superseded', supersededAt],
  ].flatMap(([word, at]) => (typeof at === 'number' ? [`${word} at ${iso(at)}`] : []))

const renewalOf = (certificate: Certificate, profile: Profile | null, now: Instant): string => {
  const { slot, renewalOpenedAt, state, source, notAfter } = certificate
  if (slot === null) return 'never renewed by this server'
  if (state === 'revoked' || state === 'superseded') return `not renewed, since it is ${state}`
  if (source === 'issued' && profile === null) return `cannot renew: profile ${certificate.profile} is not configured`
  if (now > notAfter) {
    const end = notAfter + (profile?.renewal.grace ?? 0)
    if (source === 'listener') return 'not renewed any more, since it expired'
    return now > end
      ? `cannot renew, since it expired; enrol device ${certificate.device} again with a new token`
      : `may renew after expiry until ${iso(end)}, if nothing later of its lineage was seen in use`
  }
  if (renewalOpenedAt !== null) return `renewal open since ${iso(renewalOpenedAt)}: waits for the device`
  return slot > now
    ? `renews at its slot, ${iso(slot)}`
    : `its slot passed at ${iso(slot)} and is taken up by the next sweep`
}
