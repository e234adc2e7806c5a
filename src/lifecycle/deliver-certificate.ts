import type { CertificateKey } from '../model.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, recordEvent, subjectOf } from './record-event.ts'

/** Records that the answer which held the certificate went out. Whether it arrived, only its use will tell. */
export const deliverCertificate = async (
  key: CertificateKey,
  { store, clock }: Pick<Ports, 'store' | 'clock'>,
): Promise<void> => {
  const certificate = await store.certificates.get(key)
  if (certificate?.state !== 'issued') return
  const now = clock.now()
  await store.transaction(async (tx) => {
    const changed = await tx.certificates.change(key, ['issued'], { state: 'delivered', deliveredAt: now })
    if (!changed) return
    const detail = certificateDetail(certificate)
    await recordEvent(tx, { at: now, subject: subjectOf(certificate), detailType: 'Certificate Delivered', detail })
  })
}
