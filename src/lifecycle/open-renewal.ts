import { messageOf } from '../errors.ts'
import type { Certificate, CertificateKey, Decision, Instant, Profile } from '../model.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { inspectPublicKey } from '../pki/key.ts'
import { alertsOf } from '../policy/alerts.ts'
import { openOrSpread } from '../policy/slot.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, recordEventOnce, subjectOf } from './record-event.ts'
import { succeed } from './renew-certificate.ts'
import { renewListener } from './renew-listener.ts'

type OpenPorts = Pick<Ports, 'store' | 'clock' | 'random' | 'authorities' | 'profiles' | 'settings' | 'listener'>

/**
 * What happens at a certificate's slot. With `rekey` the renewal is opened and the device brings a request; with `reuse`
 * the successor is issued from the key on record, so that it waits for the device; the listener's own is replaced.
 */
export const openRenewal = async (key: CertificateKey, ports: OpenPorts): Promise<Decision> => {
  const { store, clock, random, profiles } = ports
  const now = clock.now()
  const certificate = await store.certificates.get(key) // gather
  if (certificate?.slot == null || certificate.slot > now || certificate.renewalOpenedAt !== null)
    return { act: 'leave', reason: 'not-due', message: 'its slot is not due' }
  if (certificate.source === 'listener') return renewListener({}, ports)
  const profile = profiles.get(certificate.profile ?? '') ?? null
  const decision = openOrSpread({ ...certificate, slot: certificate.slot }, now, random.fraction()) // decide
  if (decision.act === 'spread') return spread(certificate, profile, decision.slot, store)
  if (profile === null) await tellFailed(certificate, `profile ${certificate.profile} is not configured`, store, now)
  const waits = certificate.state === 'issued' && certificate.predecessor !== null
  if (profile?.renewal.keys === 'reuse' && !waits) await issueAhead(certificate, profile, ports, now) // act
  await store.transaction((tx) =>
    tx.certificates.change(key, ['issued', 'delivered', 'confirmed'], { renewalOpenedAt: now }),
  ) // record
  return {
    act: 'open',
    reason: profile?.renewal.keys ?? 'unknown-profile',
    message: `renewal of ${key.serial} is open`,
  }
}

const spread = async (
  certificate: Certificate,
  profile: Profile | null,
  slot: Instant,
  store: Ports['store'],
): Promise<Decision> => {
  const alerts = alertsOf({ ...certificate, slot }, profile?.alerts.expiry ?? [], profile?.alerts.overdueAfter ?? null)
  const since = certificate.nextAlertAt
  const nextAlertAt = since === null ? null : (alerts.find(({ at }) => at >= since)?.at ?? null)
  await store.transaction((tx) =>
    tx.certificates.change(certificate, ['issued', 'delivered', 'confirmed'], { slot, nextAlertAt }),
  )
  return {
    act: 'spread',
    reason: 'backlog',
    message: `slot passed unseen; drawn again for ${new Date(slot).toISOString()}`,
  }
}

/** The successor is made from the key on record before the device asks, and is found by its next request. */
const issueAhead = async (
  certificate: Certificate,
  profile: Profile,
  ports: OpenPorts,
  now: Instant,
): Promise<void> => {
  const { spki, spkiSha256 } = parseCertificate(certificate.der)
  const key = { spki, spkiSha256, keyType: inspectPublicKey(spki).type }
  try {
    await succeed({ certificate, profile, label: null, sameNames: true, key }, ports)
  } catch (error) {
    await tellFailed(certificate, messageOf(error), ports.store, now)
    throw error
  }
}

const tellFailed = (certificate: Certificate, reason: string, store: Ports['store'], now: Instant): Promise<void> => {
  const detail = { ...certificateDetail(certificate), Reason: reason }
  const event = { at: now, subject: subjectOf(certificate), detailType: 'Certificate Renewal Failed' as const, detail }
  return store.transaction((tx) => recordEventOnce(tx, event, ['Certificate Renewed', 'Certificate Confirmed']))
}
