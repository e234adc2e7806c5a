import { EverleafError } from '../errors.ts'
import type { Certificate, Instant, KeyType, Profile } from '../model.ts'
import { parseCertificate } from '../pki/certificate.ts'
import type { ParsedCsr } from '../pki/csr.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import { daysToExpiry } from '../policy/alerts.ts'
import { burstWindow, decideRenewal, type RenewalDecision } from '../policy/renewal.ts'
import { readName } from '../protocol/name.ts'
import type { Writes } from '../store/store.ts'
import type { Identified } from './identify-device.ts'
import { issueCertificate } from './issue-certificate.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, iso, recordEvent, recordEventOnce } from './record-event.ts'
import { retryConflict } from './retry-conflict.ts'

export interface RenewalRequest {
  client: Identified
  label: string | null
  csr: ParsedCsr
}

type RenewPorts = Pick<Ports, 'store' | 'clock' | 'random' | 'authorities' | 'settings'>

/** What a successor shall carry: the key of the device's request, or with `reuse` the one on record. */
export interface SuccessorKey {
  spki: Uint8Array
  spkiSha256: string
  keyType: KeyType
}

/** Gives the device a successor of the certificate that it presents; the same predecessor and key give the same one (P2). */
export const renewCertificate = async (
  { client, label, csr }: RenewalRequest,
  ports: RenewPorts,
): Promise<Certificate> => {
  const { certificate, profile, parsed } = client
  if (profile === null)
    throw new EverleafError(
      'forbidden',
      `profile ${certificate.profile} is no longer configured; nothing renews under it`,
    )
  const sameNames =
    isSameName(csr.subject, parsed.subject) &&
    sameBytes(csr.san?.der ?? new Uint8Array(), parsed.subjectAlternativeName?.der ?? new Uint8Array())
  return retryConflict(() => succeed({ certificate, profile, label, sameNames, key: csr }, ports))
}

/** Clients write the same text as another string type (RFC 5280 §7.1); the successor carries the predecessor's bytes anyway. */
const isSameName = (a: Uint8Array, b: Uint8Array): boolean =>
  sameBytes(a, b) || JSON.stringify(readName(a)) === JSON.stringify(readName(b))

export interface Succession {
  certificate: Certificate
  profile: Profile
  label: string | null
  sameNames: boolean
  key: SuccessorKey
}

/** The one place where a certificate gets a successor, asked for by the device or by the scheduler at its slot. */
export const succeed = async (succession: Succession, ports: RenewPorts): Promise<Certificate> => {
  const { store, clock } = ports
  const { profile, key } = succession
  const now = clock.now()
  const certificate = (await store.certificates.get(succession.certificate)) ?? succession.certificate
  const successors = await store.certificates.successorsOf(certificate) // gather
  const issuedRecently = await store.certificates.issuedSince(certificate.device ?? '', now - burstWindow(certificate))
  const decision = decideRenewal({ ...succession, certificate, successors, issuedRecently, request: key, now }) // decide
  if (decision.act === 'repeat') return decision.certificate
  if (decision.act === 'refuse') return refuse(certificate, decision, ports, now)
  const useless = successors.find((successor) => successor.spkiSha256 === key.spkiSha256)
  if (useless) return succeed({ ...succession, certificate: useless }, ports)
  const { subject, subjectAlternativeName } = parseCertificate(certificate.der)
  const { dns = [], uri = [], ip = [] } = subjectAlternativeName?.names ?? {}
  const successor = await issueCertificate(
    {
      profile,
      device: certificate.device,
      source: 'issued',
      subject,
      san: { dns, uri, ip },
      spki: key.spki,
      predecessor: { authority: certificate.authority, serial: certificate.serial },
      token: null,
    },
    ports,
    now,
  ) // act
  await record(successor, certificate, { decision, renewal: profile.renewal, now }, store) // record
  return successor
}

const record = (
  successor: Certificate,
  predecessor: Certificate,
  { decision, renewal, now }: { decision: RenewalDecision; renewal: Profile['renewal']; now: Instant },
  store: Ports['store'],
): Promise<void> =>
  store.transaction(async (tx) => {
    await refuseEnded(predecessor, tx)
    await tx.certificates.insert(successor)
    const about = { at: now, subject: successor.device ?? successor.serial }
    const detail = {
      ...certificateDetail(successor),
      NotBefore: iso(successor.notBefore),
      PredecessorSerialNumber: predecessor.serial,
      Keys: renewal.keys,
    }
    if (decision.reason === 'after-expiry') {
      const DaysPastExpiry = -daysToExpiry(predecessor.notAfter, now)
      const detailType = 'Certificate Renewed After Expiry'
      await recordEvent(tx, { ...about, detailType, detail: { ...detail, DaysPastExpiry } })
    } else await recordEvent(tx, { ...about, detailType: 'Certificate Renewed', detail })
  })

/**
 * Whoever ended the predecessor or its device while the successor was being signed did not see the successor, so it must not
 * exist. One that was superseded meanwhile is decided upon anew.
 */
const refuseEnded = async ({ authority, serial, device }: Certificate, tx: Writes): Promise<void> => {
  const state = (await tx.certificates.get({ authority, serial }))?.state
  if (state === 'revoked') throw new EverleafError('forbidden', `certificate ${serial} is revoked`)
  if (device !== null && (await tx.devices.get(device))?.state === 'retired')
    throw new EverleafError('forbidden', `device ${device} is retired`)
  if (state === 'superseded') throw new EverleafError('conflict', `certificate ${serial} was superseded meanwhile`)
}

const refuse = async (
  certificate: Certificate,
  decision: RenewalDecision & { act: 'refuse' },
  { store }: Pick<Ports, 'store'>,
  now: Instant,
): Promise<never> => {
  const about = { at: now, subject: certificate.device ?? certificate.serial }
  if (decision.reason === 'superseded') {
    const successors = await store.certificates.successorsOf(certificate)
    const detail = {
      DeviceId: certificate.device ?? '',
      CertificateAuthority: certificate.authority,
      SerialNumber: certificate.serial,
      SuccessorSerialNumbers: successors.map(({ serial }) => serial),
    }
    await store.transaction((tx) => recordEventOnce(tx, { ...about, detailType: 'Lineage Forked', detail }, []))
  } else if (decision.reason === 'too-many') {
    const detail = { ...certificateDetail(certificate), Reason: 'too many certificates for this device' }
    await store.transaction((tx) =>
      recordEventOnce(tx, { ...about, detailType: 'Certificate Renewal Failed', detail }, ['Certificate Confirmed']),
    )
  }
  if (decision.reason === 'too-many')
    throw new EverleafError('too-many', decision.message, { retryAfter: decision.retryAfter ?? 1_000 })
  throw new EverleafError(
    decision.reason === 'other-names' || decision.reason === 'key-not-allowed' ? 'bad-input' : 'forbidden',
    decision.message,
  )
}
