import { EverleafError } from '../errors.ts'
import type { Certificate, CertificateKey, Decision, Instant, RevocationReason } from '../model.ts'
import type { Reads, Writes } from '../store/store.ts'
import { certificatesOfDevice } from './certificates-of-device.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, iso, recordEvent, subjectOf } from './record-event.ts'

/**
 * Revokes a certificate, and with it what its holder could have got by it: successors that nobody has used yet, and for
 * a compromised key every certificate of the device with the same key, superseded ones too. The next CRL build takes them up (P4).
 */
export const revokeCertificate = async (
  { key, reason }: { key: CertificateKey; reason: RevocationReason },
  { store, clock, authorities }: Pick<Ports, 'store' | 'clock' | 'authorities'>,
): Promise<Decision<'revoke' | 'leave', 'asked' | 'already-revoked'> & { serials: string[] }> => {
  const now = clock.now()
  const certificate = await store.certificates.get(key) // gather
  if (!certificate) throw new EverleafError('not-found', `no certificate ${key.serial} of authority ${key.authority}`)
  const refusal = revocationRefusal(certificate, authorities) // decide
  if (refusal !== null) throw new EverleafError('refused', refusal)
  if (certificate.state === 'revoked')
    return {
      act: 'leave',
      reason: 'already-revoked',
      message: `certificate ${key.serial} is revoked already`,
      serials: [],
    }
  const affected = await store.transaction(async (tx) => {
    // Gathered here, so that no successor slips in between.
    const all = [certificate, ...(await obtainedBy(certificate, reason, tx))]
    for (const each of all) await recordRevocation(each, { reason, revokedAt: now, now }, tx)
    return all
  }) // record
  const serials = affected.map(({ serial }) => serial)
  return { act: 'revoke', reason: 'asked', message: `revoked ${serials.join(', ')}`, serials }
}

const revocationRefusal = (certificate: Certificate, authorities: Ports['authorities']): string | null => {
  if (certificate.source === 'authority') return 'an authority is rolled over, not revoked like a device certificate'
  if (!authorities.all.some(({ id }) => id === certificate.authority))
    return `certificate ${certificate.serial} was issued by ${certificate.authority}, not by this server; revoke it there`
  return null
}

const obtainedBy = async (certificate: Certificate, reason: RevocationReason, store: Reads): Promise<Certificate[]> => {
  if (certificate.device === null || reason === 'superseded') return []
  const all = await certificatesOfDevice(certificate.device, store)
  const usable = all.filter(({ state }) => state !== 'revoked' && state !== 'expired')
  const found: Certificate[] = []
  const isObtained = (other: Certificate): boolean =>
    other.confirmedAt === null && [certificate, ...found].some(({ serial }) => serial === other.predecessor?.serial)
  const sharesKey = (other: Certificate): boolean =>
    reason === 'keyCompromise' && other.spkiSha256 === certificate.spkiSha256
  for (const other of usable.sort((a, b) => a.issuedAt - b.issuedAt))
    if (other.serial !== certificate.serial && (isObtained(other) || sharesKey(other))) found.push(other)
  return found
}

/** Marks one certificate revoked in the transaction `tx`; nothing happens where it is already. */
export const recordRevocation = async (
  certificate: Certificate,
  { reason, revokedAt, now }: { reason: RevocationReason; revokedAt: Instant; now: Instant },
  tx: Writes,
): Promise<boolean> => {
  const { authority, serial, crlShard, notAfter } = certificate
  const revocation = { authority, serial, crlShard, revokedAt, reason, notAfter, publishedIn: null }
  if (!(await tx.revocations.insert(revocation))) return false
  await tx.certificates.change(certificate, ['issued', 'delivered', 'confirmed', 'superseded', 'expired'], {
    state: 'revoked',
    nextAlertAt: null,
  })
  const detail = { ...certificateDetail(certificate), Reason: reason, RevokedAt: iso(revokedAt) }
  await recordEvent(tx, { at: now, subject: subjectOf(certificate), detailType: 'Certificate Revoked', detail })
  return true
}
