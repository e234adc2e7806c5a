import type { Certificate, Decision, Device, EnrolmentToken, Instant, KeyType, Profile } from '../model.ts'

export interface EnrolmentFacts {
  /** Null: no token of that hash. */
  token: EnrolmentToken | null
  /** What the client gave as user name; empty: nothing. */
  user: string
  /** The EST label of the request path; null: none. */
  label: string | null
  device: Device | null
  /** Null: the configuration no longer has the token's profile. */
  profile: Profile | null
  /** What was issued for this token before. */
  issued: readonly Certificate[]
  request: { spkiSha256: string; keyType: KeyType }
  now: Instant
}

export type EnrolmentDecision =
  | (Decision<'issue', 'token-valid'> & { token: EnrolmentToken; profile: Profile })
  | (Decision<'repeat', 'same-token-and-key'> & { certificate: Certificate })
  | Decision<'refuse', EnrolmentRefusal>

export type EnrolmentRefusal =
  | 'token-unknown'
  | 'token-expired'
  | 'token-used'
  | 'wrong-device'
  | 'wrong-profile'
  | 'unknown-profile'
  | 'device-retired'
  | 'key-not-allowed'

const refuse = (reason: EnrolmentRefusal, message: string): EnrolmentDecision => ({ act: 'refuse', reason, message })
const iso = (instant: Instant) => new Date(instant).toISOString()

/** Whether a first enrolment is granted. A lost answer may be asked for again with the same token and key (P2). */
export const decideEnrolment = (facts: EnrolmentFacts): EnrolmentDecision => {
  const { token, user, label, device, profile, issued, request, now } = facts
  if (token === null)
    return refuse('token-unknown', 'this enrolment token is not known; make one with `everleaf token create`')
  if (now >= token.expiresAt)
    return refuse(
      'token-expired',
      `this enrolment token expired at ${iso(token.expiresAt)}, it is ${iso(now)}; make a new one`,
    )
  if (user !== '' && user !== token.device)
    return refuse('wrong-device', 'this enrolment token belongs to another device than the user name says')
  if (label !== null && label !== token.profile)
    return refuse('wrong-profile', `this enrolment token is for profile ${token.profile}, the path asks for ${label}`)
  if (device?.state === 'retired') return refuse('device-retired', `device ${device.id} is retired`)
  const repeated = issued.find((certificate) => certificate.spkiSha256 === request.spkiSha256)
  if (repeated && repeated.state !== 'revoked')
    return {
      act: 'repeat',
      reason: 'same-token-and-key',
      message: `certificate ${repeated.serial} was issued for this token and key`,
      certificate: repeated,
    }
  if (token.usedAt !== null)
    return refuse(
      'token-used',
      `this enrolment token was used at ${iso(token.usedAt)} with another key; make a new one`,
    )
  if (profile === null) return refuse('unknown-profile', `profile ${token.profile} is no longer configured`)
  if (!profile.keys.includes(request.keyType))
    return refuse(
      'key-not-allowed',
      `profile ${profile.name} takes ${profile.keys.join(', ')}, the request has ${request.keyType}`,
    )
  return {
    act: 'issue',
    reason: 'token-valid',
    message: `enrols ${token.device} under ${profile.name}`,
    token,
    profile,
  }
}
