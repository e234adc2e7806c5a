import type { CertificateKey, Decision } from '../model.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, recordEvent, subjectOf } from './record-event.ts'

/** Marks one certificate expired. That one ends which was superseded, or never went out, is no news; that the one in use ends is. */
export const markExpired = async (
  key: CertificateKey,
  { store, clock }: Pick<Ports, 'store' | 'clock'>,
): Promise<Decision> => {
  const now = clock.now()
  const certificate = await store.certificates.get(key) // gather
  if (!certificate || certificate.notAfter >= now || certificate.state === 'expired' || certificate.state === 'revoked')
    return { act: 'leave', reason: 'not-expired', message: 'nothing to do' } // decide
  const isUncollected = certificate.state === 'issued' && certificate.predecessor !== null
  const isNews = certificate.state !== 'superseded' && !isUncollected
  await store.transaction(async (tx) => {
    const changed = await tx.certificates.change(key, [certificate.state], {
      state: 'expired',
      nextAlertAt: null,
    })
    if (!changed || !isNews) return
    const [successor] = await tx.certificates.successorsOf(key)
    const detail = {
      ...certificateDetail(certificate),
      ...(successor ? { SuccessorSerialNumber: successor.serial } : {}),
    }
    await recordEvent(tx, { at: now, subject: subjectOf(certificate), detailType: 'Certificate Expired', detail })
  }) // record
  return {
    act: 'expire',
    reason: isNews ? 'in-use' : isUncollected ? 'uncollected' : 'superseded',
    message: `certificate ${key.serial} expired`,
  }
}
