import { EverleafError } from '../errors.ts'
import type { Certificate, RevocationReason } from '../model.ts'
import { certificatesOfDevice } from './certificates-of-device.ts'
import type { Ports } from './ports.ts'
import { recordEvent } from './record-event.ts'
import { recordRevocation } from './revoke-certificate.ts'

/** Takes a device out of service: it renews nothing any more, and everything that it could still use is revoked. */
export const retireDevice = async (
  { device: id, reason }: { device: string; reason: RevocationReason },
  { store, clock }: Pick<Ports, 'store' | 'clock'>,
): Promise<{ revoked: number }> => {
  const now = clock.now()
  return store.transaction(async (tx) => {
    const device = await tx.devices.get(id) // gather
    if (!device) throw new EverleafError('not-found', `no device ${id}`)
    if (device.state === 'retired') return { revoked: 0 } // decide
    await tx.devices.put({ ...device, state: 'retired' })
    const certificates = await certificatesOfDevice(id, tx)
    let revoked = 0
    for (const certificate of certificates.filter((each) => isUsable(each, now)))
      if (await recordRevocation(certificate, { reason, revokedAt: now, now }, tx)) revoked += 1
    const detail = { DeviceId: id, Reason: reason, RevokedCertificates: revoked }
    await recordEvent(tx, { at: now, subject: id, detailType: 'Device Retired', detail })
    return { revoked }
  }) // record
}

/** A superseded certificate still opens every gateway until it expires. */
const isUsable = (certificate: Certificate, now: number): boolean =>
  certificate.source === 'issued' && certificate.state !== 'revoked' && certificate.notAfter >= now
