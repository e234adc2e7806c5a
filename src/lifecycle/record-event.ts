import type { DetailType, EventDetails } from '../events/catalogue.ts'
import type { Certificate, Instant } from '../model.ts'
import type { Writes } from '../store/store.ts'

/** Appends an event to the outbox, in the transaction of the change that it tells of (P6). */
export const recordEvent = async <Type extends DetailType>(
  tx: Writes,
  event: { at: Instant; subject: string; detailType: Type; detail: EventDetails[Type] },
): Promise<void> => {
  await tx.events.append({
    time: event.at,
    subject: event.subject,
    detailType: event.detailType,
    detail: event.detail,
  })
}

/** Appends it unless the newest event of the subject among it and `until` already tells the same: a lasting fault is told once. */
export const recordEventOnce = async <Type extends DetailType>(
  tx: Writes,
  event: { at: Instant; subject: string; detailType: Type; detail: EventDetails[Type] },
  until: readonly DetailType[],
): Promise<void> => {
  const latest = await tx.events.latest(event.subject, [event.detailType, ...until])
  if (latest?.detailType === event.detailType && JSON.stringify(latest.detail) === JSON.stringify(event.detail)) return
  await recordEvent(tx, event)
}

export const iso = (instant: Instant): string => new Date(instant).toISOString()

const commonName = (subject: string): string => /(?:^|,)CN=((?:\\.|[^,])*)/.exec(subject)?.[1] ?? subject

/** The fields that every event of a certificate has. */
export const certificateDetail = (certificate: Certificate) => ({
  CommonName: commonName(certificate.subject),
  CertificateAuthority: certificate.authority,
  SerialNumber: certificate.serial,
  NotAfter: iso(certificate.notAfter),
  ...(certificate.device === null ? {} : { DeviceId: certificate.device }),
  ...(certificate.profile === null ? {} : { Profile: certificate.profile }),
  Source: certificate.source,
})

/** Events of a certificate are ordered with those of its device. */
export const subjectOf = (certificate: Certificate): string =>
  certificate.device ?? `${certificate.authority}/${certificate.serial}`
