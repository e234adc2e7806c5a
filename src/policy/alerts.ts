import type { Certificate, Duration, Instant, Profile } from '../model.ts'

export type AlertKind = 'expiring' | 'overdue'
export interface Alert {
  kind: AlertKind
  at: Instant
  /** The threshold as configured, before it was scaled to the certificate's life. */
  threshold: Duration
}

export const days = (count: number): Duration => count * 86_400_000

/** Expiry thresholds for what no profile governs: imported, partner certificates. */
export const watchedThresholds: readonly Duration[] = [45, 30, 14, 7, 3, 1].map(days)
/** An authority needs longer notice: its successor must reach every gateway before it signs anything. */
export const authorityThresholds: readonly Duration[] = [365, 180, 90, 45, 30, 14, 7, 3, 1].map(days)

/** The thresholds for a certificate of this source under this profile, and when it is overdue (null: never). */
export const thresholdsOf = (
  source: Certificate['source'],
  profile: Profile | null,
): [expiry: readonly Duration[], overdueAfter: number | null] => {
  if (source === 'authority') return [authorityThresholds, null]
  if (profile === null) return [watchedThresholds, null]
  return [profile.alerts.expiry, profile.alerts.overdueAfter]
}

type Watched = Pick<Certificate, 'notBefore' | 'notAfter' | 'slot'>

/** Thresholds are meant for a life of at least twice the longest of them; a shorter life shrinks them all alike. */
const scaleOf = (life: Duration, thresholds: readonly Duration[]): number => {
  const longest = Math.max(...thresholds, 0)
  return longest === 0 ? 1 : Math.min(1, life / (2 * longest))
}

/** Everything that will ever be told about the certificate if nothing happens to it, in order of time. */
export const alertsOf = (
  certificate: Watched,
  thresholds: readonly Duration[],
  overdueAfter: Profile['alerts']['overdueAfter'] | null,
): Alert[] => {
  const life = certificate.notAfter - certificate.notBefore
  const scale = scaleOf(life, thresholds)
  const alerts: Alert[] = thresholds.map((threshold) => ({
    kind: 'expiring',
    at: Math.round(certificate.notAfter - threshold * scale),
    threshold,
  }))
  if (certificate.slot !== null && overdueAfter !== null) {
    alerts.push({ kind: 'overdue', at: Math.round(certificate.slot + life * overdueAfter), threshold: 0 })
  }
  return alerts.filter((alert) => alert.at < certificate.notAfter).sort((a, b) => a.at - b.at)
}

/**
 * What to tell now and when to look again. Of several expiry thresholds that passed unseen only the most urgent is told;
 * overdue is told beside it. `since` is the stored `nextAlertAt`: what lies before it was told already.
 */
export const alertsDue = (
  alerts: readonly Alert[],
  since: Instant,
  now: Instant,
): { tell: Alert[]; next: Instant | null } => {
  const fallen = alerts.filter((alert) => alert.at >= since && alert.at <= now)
  const expiring = fallen.filter((alert) => alert.kind === 'expiring').at(-1)
  const overdue = fallen.find((alert) => alert.kind === 'overdue')
  return {
    tell: [overdue, expiring].filter((alert) => alert !== undefined),
    next: alerts.find((alert) => alert.at > now)?.at ?? null,
  }
}

/** Whole or fractional days until expiry, as ACM's own event gives them. */
export const daysToExpiry = (notAfter: Instant, now: Instant): number => {
  const left = (notAfter - now) / days(1)
  return left >= 1 ? Math.floor(left) : Math.round(left * 10_000) / 10_000
}
