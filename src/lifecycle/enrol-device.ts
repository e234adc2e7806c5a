import { EverleafError } from '../errors.ts'
import type { Certificate, Device, EnrolmentToken, Instant, Profile } from '../model.ts'
import type { ParsedCsr } from '../pki/csr.ts'
import { decideEnrolment } from '../policy/enrolment.ts'
import { namesOf, namesRefusal } from '../policy/names.ts'
import { encodeName, type NameAttribute, readName } from '../protocol/name.ts'
import { type Issuance, issueCertificate } from './issue-certificate.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, iso, recordEvent } from './record-event.ts'
import { retryConflict } from './retry-conflict.ts'
import { tokenHash } from './token-hash.ts'

export interface EnrolmentRequest {
  /** User name of HTTP Basic: the device's id or empty. */
  user: string
  token: string
  /** EST label of the path; null: none. */
  label: string | null
  csr: ParsedCsr
}

type EnrolPorts = Pick<Ports, 'store' | 'clock' | 'random' | 'authorities' | 'profiles' | 'settings'>

/** Enrols a device with a one-time token. Asking again with the same token and key gives the same certificate (P2). */
export const enrolDevice = (request: EnrolmentRequest, ports: EnrolPorts): Promise<Certificate> =>
  retryConflict(() => enrolOnce(request, ports))

const enrolOnce = async (request: EnrolmentRequest, ports: EnrolPorts): Promise<Certificate> => {
  const { store, clock, profiles } = ports
  const now = clock.now()
  const { user, label, csr } = request
  const hash = tokenHash(request.token) // gather
  const token = await store.tokens.get(hash)
  const known = token && (await store.devices.get(token.device))
  const issued = token === null ? [] : await store.certificates.forToken(hash)
  const profile = token && (profiles.get(token.profile) ?? null)
  const decision = decideEnrolment({ token, user, label, device: known, profile, issued, request: csr, now }) // decide
  if (decision.act === 'refuse') throw refusalOf(decision.reason, decision.message)
  if (decision.act === 'repeat') return decision.certificate
  const device = deviceOf(decision.token, known, now)
  const names = grantedNames(decision.profile, device, csr)
  const issuance: Issuance = {
    ...names,
    profile: decision.profile,
    device: device.id,
    source: 'issued',
    spki: csr.spki,
    predecessor: null,
    token: hash,
  }
  const certificate = await issueCertificate(issuance, ports, now) // act
  await record(certificate, device, { isNew: known === null, hash, now }, store) // record
  return certificate
}

const refusalOf = (reason: string, message: string): EverleafError => {
  if (reason === 'token-unknown' || reason === 'token-expired' || reason === 'token-used' || reason === 'wrong-device')
    return new EverleafError('unauthenticated', message)
  return new EverleafError(reason === 'key-not-allowed' ? 'bad-input' : 'forbidden', message)
}

const deviceOf = (token: EnrolmentToken, known: Device | null, now: Instant): Device => ({
  id: token.device,
  profile: token.profile,
  labels: token.labels,
  state: 'active',
  createdAt: known?.createdAt ?? now,
  lastContactAt: known?.lastContactAt ?? null,
  agentVersion: known?.agentVersion ?? null,
  lastError: known?.lastError ?? null,
})

/** The server writes the names itself, from the profile; the request may only repeat them. */
const grantedNames = (profile: Profile, device: Device, csr: ParsedCsr): Pick<Issuance, 'subject' | 'san'> => {
  const granted = namesOf(profile, device)
  if (!granted.ok)
    throw new EverleafError(
      'forbidden',
      `profile ${profile.name} needs a label for ${granted.template} that ${device.id} lacks`,
    )
  const refusal = namesRefusal(
    { subject: readName(csr.subject), san: csr.san?.names ?? null },
    granted.names,
    device.id,
  )
  if (refusal !== null) throw new EverleafError('bad-input', refusal)
  const { subject, dns, uri } = granted.names
  return { subject: encodeName(subject as Array<[NameAttribute, string]>), san: { dns, uri, ip: [] } }
}

const record = (
  certificate: Certificate,
  device: Device,
  { isNew, hash, now }: { isNew: boolean; hash: string; now: Instant },
  store: Ports['store'],
): Promise<void> =>
  store.transaction(async (tx) => {
    if (!(await tx.tokens.use(hash, now)))
      throw new EverleafError('conflict', 'this enrolment token was used meanwhile')
    if ((await tx.devices.get(device.id))?.state === 'retired')
      throw new EverleafError('conflict', `device ${device.id} was retired meanwhile`)
    await tx.devices.put(device)
    await tx.certificates.insert(certificate)
    const at = now
    const subject = device.id
    if (isNew) {
      const detail = { DeviceId: device.id, Profile: device.profile, Labels: device.labels }
      await recordEvent(tx, { at, subject, detailType: 'Device Enrolled', detail })
    }
    const detail = { ...certificateDetail(certificate), NotBefore: iso(certificate.notBefore) }
    await recordEvent(tx, { at, subject, detailType: 'Certificate Issued', detail })
  })
