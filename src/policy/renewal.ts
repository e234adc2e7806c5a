import type { Certificate, Decision, Duration, Instant, KeyType, Profile } from '../model.ts'

export interface RenewalFacts {
  certificate: Certificate
  profile: Profile
  label: string | null
  /** Every certificate that names this one as its predecessor, oldest first. */
  successors: readonly Certificate[]
  /** When the device's certificates of the last quarter of a lifetime were issued, oldest first. */
  issuedRecently: readonly Instant[]
  request: { spkiSha256: string; keyType: KeyType }
  /** Whether subject and SAN of the request equal, as DER, those of the certificate (RFC 7030 §4.2.2). */
  sameNames: boolean
  now: Instant
}

export type RenewalRefusal =
  | 'other-names'
  | 'key-revoked'
  | 'superseded'
  | 'wrong-profile'
  | 'key-not-allowed'
  | 'too-many'

export type RenewalDecision =
  | Decision<'issue', 'due' | 'early' | 'after-expiry'>
  | (Decision<'repeat', 'same-predecessor-and-key'> & { certificate: Certificate })
  | (Decision<'refuse', RenewalRefusal> & { retryAfter: Duration | null })

const refuse = (reason: RenewalRefusal, message: string, retryAfter: Duration | null = null): RenewalDecision => ({
  act: 'refuse',
  reason,
  message,
  retryAfter,
})

/** How far back `issuedRecently` must reach. */
export const burstWindow = (certificate: Pick<Certificate, 'notBefore' | 'notAfter'>): Duration =>
  (certificate.notAfter - certificate.notBefore) / 4

/** One that was made while the clock was ahead is as useless now as one that expired. */
const isValidAt = ({ notBefore, notAfter }: Certificate, now: Instant): boolean => notBefore <= now && now <= notAfter

/** Whether an admitted client gets a successor. The same predecessor and key always give the same certificate (P2). */
export const decideRenewal = (facts: RenewalFacts): RenewalDecision => {
  const { certificate, profile, label, successors, issuedRecently, request, now } = facts
  if (!facts.sameNames)
    return refuse(
      'other-names',
      `subject and subject alternative name must equal those of certificate ${certificate.serial}`,
    )
  if (label !== null && label !== certificate.profile)
    return refuse(
      'wrong-profile',
      `certificate ${certificate.serial} is of profile ${certificate.profile}, the path asks for ${label}`,
    )
  const repeated = successors.find((successor) => successor.spkiSha256 === request.spkiSha256)
  if (repeated?.state === 'revoked')
    return refuse('key-revoked', `certificate ${repeated.serial} with this key was revoked; ask with a new key`)
  if (repeated && isValidAt(repeated, now))
    return {
      act: 'repeat',
      reason: 'same-predecessor-and-key',
      message: `certificate ${repeated.serial} already succeeds ${certificate.serial} with this key`,
      certificate: repeated,
    }
  if (certificate.state === 'superseded')
    return refuse(
      'superseded',
      `certificate ${certificate.serial} was superseded and its successor is in use: this is a copy or a restored backup; revoke the device or enrol it again`,
    )
  if (!profile.keys.includes(request.keyType))
    return refuse(
      'key-not-allowed',
      `profile ${profile.name} takes ${profile.keys.join(', ')}, the request has ${request.keyType}`,
    )
  const oldest = issuedRecently.at(-profile.renewal.burst)
  if (oldest !== undefined)
    return refuse(
      'too-many',
      `${issuedRecently.length} certificates in the last quarter of a lifetime, ${profile.renewal.burst} allowed`,
      Math.max(1_000, oldest + burstWindow(certificate) - now),
    )
  if (now > certificate.notAfter)
    return {
      act: 'issue',
      reason: 'after-expiry',
      message: `succeeds ${certificate.serial}, expired, within its grace`,
    }
  const reason = certificate.slot !== null && now >= certificate.slot ? 'due' : 'early'
  return { act: 'issue', reason, message: `succeeds ${certificate.serial}` }
}
