import type { Certificate, Decision, Device, Instant, Profile } from '../model.ts'

/** `renew`: simplereenroll, the one call that an expired certificate may still reach. `read`: everything else. */
export type ClientPurpose = 'renew' | 'read'

export interface ClientFacts {
  certificate: Certificate
  device: Device | null
  profile: Profile | null
  /** Whether any certificate of the lineage came after this one and was seen in use. */
  hasConfirmedSuccessor: boolean
  purpose: ClientPurpose
  now: Instant
}

export type ClientRefusal =
  | 'not-a-device'
  | 'revoked'
  | 'retired'
  | 'not-yet-valid'
  | 'expired'
  | 'beyond-grace'
  | 'superseded'

const refuse = (reason: ClientRefusal, message: string): Decision<'refuse', ClientRefusal> => ({
  act: 'refuse',
  reason,
  message,
})
const iso = (instant: Instant) => new Date(instant).toISOString()

/** Who may speak at the device listener, decided on every request from the inventory (P8). */
export const admitClient = (
  facts: ClientFacts,
): Decision<'admit', 'live' | 'grace'> | Decision<'refuse', ClientRefusal> => {
  const { certificate, device, profile, hasConfirmedSuccessor, purpose, now } = facts
  const { serial, notBefore, notAfter } = certificate
  if (certificate.source !== 'issued' || device === null)
    return refuse('not-a-device', `certificate ${serial} was not issued to a device`)
  if (certificate.state === 'revoked') return refuse('revoked', `certificate ${serial} is revoked`)
  if (device.state === 'retired') return refuse('retired', `device ${device.id} is retired`)
  if (now < notBefore)
    return refuse('not-yet-valid', `certificate ${serial} is valid from ${iso(notBefore)}, it is ${iso(now)}`)
  if (now <= notAfter) return { act: 'admit', reason: 'live', message: `${device.id} with ${serial}` }
  if (purpose !== 'renew')
    return refuse('expired', `certificate ${serial} expired at ${iso(notAfter)}, it is ${iso(now)}`)
  const grace = profile?.renewal.grace ?? 0
  if (now > notAfter + grace)
    return refuse(
      'beyond-grace',
      `certificate ${serial} expired at ${iso(notAfter)}; renewal after expiry was possible until ${iso(notAfter + grace)}, it is ${iso(now)}; enrol the device again with a new token`,
    )
  if (hasConfirmedSuccessor)
    return refuse(
      'superseded',
      `certificate ${serial} expired and its successor is in use; only the latest may renew after expiry`,
    )
  return { act: 'admit', reason: 'grace', message: `${device.id} with expired ${serial}, within its grace` }
}
