import type { Certificate, Decision, Instant } from '../model.ts'
import { type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { sha256Hex } from '../pki/digest.ts'
import { inspectPublicKey } from '../pki/key.ts'
import { listenerDue } from '../policy/listener.ts'
import { encodeName } from '../protocol/name.ts'
import { issueCertificate } from './issue-certificate.ts'
import type { Ports } from './ports.ts'
import { certificateDetail, iso, recordEvent } from './record-event.ts'

type ListenerPorts = Pick<Ports, 'store' | 'clock' | 'random' | 'authorities' | 'settings' | 'listener'>

const isIpAddress = (name: string): boolean => name.includes(':') || /^\d+(\.\d+){3}$/.test(name)

/** Gives the device listener a new key and certificate when it has none, at its slot, or when its names changed. */
export const renewListener = async (
  { force = false }: { force?: boolean },
  ports: ListenerPorts,
): Promise<Decision> => {
  const { store, clock, authorities, settings, listener } = ports
  if (listener === null) return { act: 'leave', reason: 'given-by-file', message: 'the certificate is given by files' }
  const now = clock.now()
  const current = await listener.current() // gather
  const authority = authorities.issuing
  const row = current && (await store.certificates.get({ authority: authority.id, serial: current.serial }))
  if (row?.state === 'issued') await recordInstalled(row, store, now) // cut off after it was installed
  const decision = listenerDue({ row, names: namesOf(current), wanted: settings.listener.names, force, now }) // decide
  if (decision.act === 'leave') return decision
  const spki = await listener.prepareKey() // act
  const certificate = (await findWaiting(spki, row, ports, now)) ?? (await issue(spki, row, ports, now))
  await listener.install([certificate.der, ...authority.chain.slice(0, -1).map(({ der }) => der)])
  await recordInstalled(certificate, store, now) // record
  return decision
}

/** One that was issued for the prepared key and not installed, because the process was cut off in between. */
const findWaiting = async (
  spki: Uint8Array,
  predecessor: Certificate | null,
  { store, authorities, settings }: ListenerPorts,
  now: Instant,
): Promise<Certificate | null> => {
  const candidates = predecessor
    ? await store.certificates.successorsOf(predecessor)
    : await store.certificates.list({ source: 'listener', state: 'issued', limit: 100 })
  const waiting = candidates.find(
    ({ authority, state, spkiSha256, slot }) =>
      authority === authorities.issuing.id &&
      state === 'issued' &&
      spkiSha256 === sha256Hex(spki) &&
      (slot === null || slot > now),
  )
  const names = namesOf(waiting ? parseCertificate(waiting.der) : null)
  return waiting && settings.listener.names.every((name) => names.includes(name)) ? waiting : null
}

const namesOf = (certificate: ParsedCertificate | null): string[] => {
  const { dns = [], ip = [] } = certificate?.subjectAlternativeName?.names ?? {}
  return [...dns, ...ip]
}

const issue = async (
  spki: Uint8Array,
  predecessor: Certificate | null,
  ports: ListenerPorts,
  now: Instant,
): Promise<Certificate> => {
  inspectPublicKey(spki)
  const { profile, names } = ports.settings.listener
  // Where the clock went back, it may be this one that is wrong: for the others the new one lasts as long as the former.
  const lasting = predecessor !== null && now < predecessor.notBefore ? predecessor.notAfter - now : 0
  const [ip, dns] = [names.filter(isIpAddress), names.filter((name) => !isIpAddress(name))]
  const subject = encodeName([['CN', (dns[0] ?? ip[0] ?? 'everleaf').slice(0, 64)]])
  const certificate = await issueCertificate(
    {
      profile: { ...profile, validity: Math.max(profile.validity, lasting) },
      device: null,
      source: 'listener',
      subject,
      san: { dns, uri: [], ip },
      spki,
      predecessor: predecessor && { authority: predecessor.authority, serial: predecessor.serial },
      token: null,
    },
    ports,
    now,
  )
  await ports.store.transaction((tx) => tx.certificates.insert(certificate))
  return certificate
}

const recordInstalled = (certificate: Certificate, store: Ports['store'], now: Instant): Promise<void> =>
  store.transaction(async (tx) => {
    const inUse = { state: 'confirmed', deliveredAt: now, confirmedAt: now } as const
    if (!(await tx.certificates.change(certificate, ['issued'], inUse))) return
    const { predecessor } = certificate
    if (predecessor)
      await tx.certificates.change(predecessor, ['issued', 'delivered', 'confirmed'], {
        state: 'superseded',
        supersededAt: now,
        nextAlertAt: null,
      })
    const about = { at: now, subject: 'listener' }
    const detail = { ...certificateDetail(certificate), NotBefore: iso(certificate.notBefore) }
    if (predecessor) {
      const renewed = { ...detail, PredecessorSerialNumber: predecessor.serial, Keys: 'rekey' as const }
      await recordEvent(tx, { ...about, detailType: 'Certificate Renewed', detail: renewed })
    } else await recordEvent(tx, { ...about, detailType: 'Certificate Issued', detail })
  })
