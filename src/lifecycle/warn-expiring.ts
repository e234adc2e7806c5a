import type { Certificate, CertificateKey, Decision, Instant } from '../model.ts'
import { type Alert, alertsDue, alertsOf, days, daysToExpiry, thresholdsOf } from '../policy/alerts.ts'
import type { Writes } from '../store/store.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, iso, recordEvent, subjectOf } from './record-event.ts'

/** Tells what is due to be told of one certificate, each threshold once, and sets when to look again. */
export const warnExpiring = async (
  key: CertificateKey,
  {
    store,
    clock,
    profiles,
    settings,
    authorities,
  }: Pick<Ports, 'store' | 'clock' | 'profiles' | 'settings' | 'authorities'>,
): Promise<Decision> => {
  const now = clock.now()
  const certificate = await store.certificates.get(key) // gather
  if (certificate?.nextAlertAt == null || certificate.nextAlertAt > now)
    return { act: 'leave', reason: 'not-due', message: 'nothing is due to be told' }
  const since = certificate.nextAlertAt
  const successors = await store.certificates.successorsOf(key)
  const isRenewed = successors.some(({ state }) => state === 'delivered' || state === 'confirmed')
  const profile =
    certificate.source === 'listener' ? settings.listener.profile : profiles.get(certificate.profile ?? '')
  const [thresholds, overdueAfter] = thresholdsOf(certificate.source, profile ?? null)
  const { tell, next } = alertsDue(alertsOf(certificate, thresholds, overdueAfter), since, now) // decide
  // Past its end that alone is told, when it is marked.
  const told = now > certificate.notAfter ? [] : tell.filter((alert) => isWorthTelling(alert, certificate, isRenewed))
  const isTold = await store.transaction(async (tx) => {
    // Superseded, revoked or told by another meanwhile.
    if ((await tx.certificates.get(key))?.nextAlertAt !== since) return false
    const device = certificate.device === null ? null : await tx.devices.get(certificate.device)
    const about = { lastContactAt: device?.lastContactAt ?? null, authority: ownId(certificate, authorities), now }
    for (const alert of told) await recordAlert(alert, certificate, about, tx)
    return tx.certificates.change(key, [certificate.state], { nextAlertAt: next })
  }) // record
  if (!isTold) return { act: 'leave', reason: 'not-due', message: 'told or ended meanwhile' }
  return { act: 'tell', reason: told.map(({ kind }) => kind).join('+') || 'nothing', message: `told ${told.length}` }
}

/** A successor that waits undelivered is not what the device lives on; its predecessor is told of. */
const isWorthTelling = (alert: Alert, certificate: Certificate, isRenewed: boolean): boolean => {
  if (certificate.state === 'issued' && certificate.predecessor !== null) return false
  return alert.kind === 'expiring' || !isRenewed
}

/** The id of the authority whose own certificate this is; null for any other certificate. */
const ownId = (certificate: Certificate, authorities: Ports['authorities']): string | null =>
  authorities.all.find((authority) => authority.certificate.serial === certificate.serial)?.id ?? null

const recordAlert = (
  alert: Alert,
  certificate: Certificate,
  { lastContactAt, authority, now }: { lastContactAt: Instant | null; authority: string | null; now: Instant },
  tx: Writes,
): Promise<void> => {
  const about = { at: now, subject: subjectOf(certificate) }
  const DaysToExpiry = daysToExpiry(certificate.notAfter, now)
  const ThresholdDays = Math.round((alert.threshold / days(1)) * 10_000) / 10_000
  const base = certificateDetail(certificate)
  if (certificate.source === 'authority') {
    const { CommonName, SerialNumber, NotAfter } = base
    const CertificateAuthority = authority ?? certificate.authority
    const detail = { CertificateAuthority, CommonName, SerialNumber, NotAfter, DaysToExpiry, ThresholdDays }
    return recordEvent(tx, { ...about, detailType: 'Authority Expiring', detail })
  }
  if (alert.kind === 'expiring') {
    const detail = { ...base, DaysToExpiry, ThresholdDays }
    return recordEvent(tx, { ...about, detailType: 'Certificate Approaching Expiration', detail })
  }
  const detail = {
    ...base,
    DaysToExpiry,
    RenewalDueAt: iso(certificate.slot ?? now),
    ...(lastContactAt === null ? {} : { LastContactAt: iso(lastContactAt) }),
  }
  return recordEvent(tx, { ...about, detailType: 'Certificate Renewal Overdue', detail })
}
