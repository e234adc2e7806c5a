import { isEverleafError, messageOf } from '../errors.ts'
import type { Certificate, CertificateKey, Decision, Instant, Profile } from '../model.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { inspectPublicKey } from '../pki/key.ts'
import { alertsOf, thresholdsOf } from '../policy/alerts.ts'
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
  if (!isLive(certificate)) return { act: 'leave', reason: 'not-due', message: `it is ${certificate.state}` }
  if (certificate.source === 'listener') return openListenerRenewal(certificate, ports, now)
  const profile = profiles.get(certificate.profile ?? '') ?? null
  if (now > certificate.notAfter + (profile?.renewal.grace ?? 0))
    return { act: 'leave', reason: 'beyond-grace', message: `certificate ${key.serial} expired; nobody may renew it` }
  const decision = openOrSpread({ ...certificate, slot: certificate.slot }, now, random.fraction()) // decide
  if (decision.act === 'spread') return spread(certificate, profile, decision.slot, store)
  if (profile === null) await tellFailed(certificate, `profile ${certificate.profile} is not configured`, store, now)
  const waits = certificate.state === 'issued' && certificate.predecessor !== null
  if (profile?.renewal.keys === 'reuse' && !waits) await issueAhead(certificate, profile, ports, now) // act
  await recordOpened(key, store, now) // record
  return {
    act: 'open',
    reason: profile?.renewal.keys ?? 'unknown-profile',
    message: `renewal of ${key.serial} is open`,
  }
}

const live = ['issued', 'delivered', 'confirmed'] as const
/** It may have been revoked or superseded since its job was queued, or while that backed off. */
const isLive = ({ state }: Certificate): boolean => live.some((each) => each === state)

const recordOpened = (key: CertificateKey, store: Ports['store'], now: Instant): Promise<boolean> =>
  store.transaction((tx) => tx.certificates.change(key, live, { renewalOpenedAt: now }))

/** One that is not in use, because files are now or it was never installed, is not looked at again. */
const openListenerRenewal = async (certificate: Certificate, ports: OpenPorts, now: Instant): Promise<Decision> => {
  const decision = await renewListener({}, ports)
  if (decision.act === 'leave') await recordOpened(certificate, ports.store, now)
  return decision
}

const spread = async (
  certificate: Certificate,
  profile: Profile | null,
  slot: Instant,
  store: Ports['store'],
): Promise<Decision> => {
  const alerts = alertsOf({ ...certificate, slot }, ...thresholdsOf(certificate.source, profile))
  const since = certificate.nextAlertAt
  const nextAlertAt = since === null ? null : (alerts.find(({ at }) => at >= since)?.at ?? null)
  await store.transaction((tx) => tx.certificates.change(certificate, live, { slot, nextAlertAt }))
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
    if (isEverleafError(error, 'too-many')) throw error // told where it was decided
    await tellFailed(certificate, messageOf(error), ports.store, now)
    // The key on record is refused for good: the renewal is opened all the same, and the device may bring another.
    if (!isEverleafError(error, 'forbidden') && !isEverleafError(error, 'bad-input')) throw error
  }
}

const tellFailed = (certificate: Certificate, reason: string, store: Ports['store'], now: Instant): Promise<void> => {
  const detail = { ...certificateDetail(certificate), Reason: reason }
  const event = { at: now, subject: subjectOf(certificate), detailType: 'Certificate Renewal Failed' as const, detail }
  return store.transaction((tx) => recordEventOnce(tx, event, ['Certificate Renewed', 'Certificate Confirmed']))
}
