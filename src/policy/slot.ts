import type { Duration, Instant, Profile } from '../model.ts'

interface Lifetime {
  notBefore: Instant
  notAfter: Instant
}

const wholeSeconds = (instant: Instant): Instant => Math.floor(instant / 1000) * 1000

/**
 * The renewal slot: `after` of the lifetime, moved within a band of `jitter` lifetimes by `fraction`, which the caller
 * draws once per certificate and stores through the slot (P7).
 */
export const drawSlot = (life: Lifetime, renewal: Profile['renewal'], fraction: number): Instant => {
  const length = life.notAfter - life.notBefore
  const share = renewal.after + renewal.jitter * (fraction - 0.5)
  return Math.round(life.notBefore + length * Math.min(Math.max(share, 0.01), 0.99))
}

/** A slot is late when it passed unopened by more than this: the server was away, and a backlog stands at the door. */
const lateness = (life: Lifetime): Duration => Math.max((life.notAfter - life.notBefore) / 50, 2_000)

/**
 * What to do with a slot that is due. One that passed while nobody looked is drawn again over the first half of the time
 * left, so that the backlog of an outage does not come back as one wave (P7); the other half is left for retries.
 */
export const openOrSpread = (
  certificate: Lifetime & { slot: Instant },
  now: Instant,
  fraction: number,
): { act: 'open' } | { act: 'spread'; slot: Instant } => {
  const left = certificate.notAfter - now
  const late = now - certificate.slot
  if (late <= lateness(certificate) || left <= lateness(certificate)) return { act: 'open' }
  return { act: 'spread', slot: Math.round(now + 1 + (left / 2) * fraction) }
}

/** How far certificates and CRLs are dated back, for readers whose clock is a little behind: 5 minutes, less for short lives. */
export const backdated = (now: Instant, validity: Duration): Instant =>
  wholeSeconds(now - Math.min(5 * 60_000, validity / 20))

/** The end of a life that starts now, in whole seconds and within its authority's (RFC 5280 has no fractions). */
export const expiryOf = (now: Instant, validity: Duration, authorityNotAfter: Instant): Instant =>
  Math.min(wholeSeconds(now + validity), authorityNotAfter)
