import type { Authority } from '../authority/authority.ts'
import { EverleafError } from '../errors.ts'
import type { Duration, Instant } from '../model.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import type { RenewalInfo } from '../protocol/renewal-info.ts'
import type { Ports } from './ports.ts'
import { iso } from './record-event.ts'

/** The window around the stored slot (RFC 9773 §4.2). It tells nothing but times, so anybody may ask. */
export const renewalInfo = async (
  request: { authorityKeyIdentifier: Uint8Array; serial: string },
  { store, clock, authorities }: Pick<Ports, 'store' | 'clock' | 'authorities'>,
): Promise<{ info: RenewalInfo; retryAfter: Duration }> => {
  const authority = authorities.all.find((candidate) => hasKeyIdentifier(candidate, request.authorityKeyIdentifier))
  const certificate = authority && (await store.certificates.get({ authority: authority.id, serial: request.serial }))
  if (!certificate?.slot) throw new EverleafError('not-found', 'no renewal information for this certificate')
  const life = certificate.notAfter - certificate.notBefore
  const gone = certificate.state === 'revoked' || certificate.renewalOpenedAt !== null
  const start = gone ? certificate.notBefore : certificate.slot
  const end = Math.min(start + Math.max(life / 100, 1_000), certificate.notAfter)
  return {
    info: { suggestedWindow: { start: iso(start), end: iso(end) } },
    retryAfter: retryAfter(life, clock.now(), certificate.slot),
  }
}

/** Ask again after a sixteenth of the life, at most six hours, and in time for the slot. */
const retryAfter = (life: Duration, now: Instant, slot: Instant): Duration => {
  const usual = Math.min(life / 16, 6 * 3_600_000)
  return Math.max(1_000, slot > now ? Math.min(usual, slot - now) : usual)
}

const hasKeyIdentifier = (authority: Authority, identifier: Uint8Array): boolean => {
  const own = authority.certificate.subjectKeyIdentifier
  return own !== null && sameBytes(own, identifier)
}
