import type { Certificate, Instant } from '../model.ts'
import type { Writes } from '../store/store.ts'
import type { Identified } from './identify-device.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, recordEvent } from './record-event.ts'

/**
 * The second side of a renewal's commit (P2): the certificate was seen in use, so what the device had before it is
 * superseded. Called on every authenticated request; it does something on the first only.
 */
export const confirmCertificate = async (
  { certificate, device }: Pick<Identified, 'certificate' | 'device'>,
  { store, clock }: Pick<Ports, 'store' | 'clock'>,
): Promise<void> => {
  if (certificate.state !== 'issued' && certificate.state !== 'delivered') return
  const now = clock.now()
  const live = await store.certificates.liveOf(device.id, certificate.profile ?? '') // gather
  const older = live.filter((other) => isOlder(other, certificate)) // decide
  await store.transaction(async (tx) => {
    const confirmed = await tx.certificates.change(certificate, ['issued', 'delivered'], {
      state: 'confirmed',
      confirmedAt: now,
    })
    if (!confirmed) return
    for (const other of older) await supersede(other, tx, now)
    const predecessor = certificate.predecessor
    const detail = {
      ...certificateDetail(certificate),
      ...(predecessor === null ? {} : { PredecessorSerialNumber: predecessor.serial }),
    }
    await recordEvent(tx, { at: now, subject: device.id, detailType: 'Certificate Confirmed', detail })
  }) // record
}

const isOlder = (other: Certificate, certificate: Certificate): boolean =>
  other.serial !== certificate.serial &&
  other.issuedAt <= certificate.issuedAt &&
  other.predecessor?.serial !== certificate.serial

const supersede = (other: Certificate, tx: Writes, now: Instant): Promise<boolean> =>
  tx.certificates.change(other, ['issued', 'delivered', 'confirmed'], {
    state: 'superseded',
    supersededAt: now,
    nextAlertAt: null,
  })
