import type { Certificate, Decision, Instant } from '../model.ts'
import type { ParsedCertificate } from '../pki/certificate.ts'
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
  const decision = listenerDue({ row, names: namesOf(current), wanted: settings.listener.names, force, now }) // decide
  if (decision.act === 'leave') return decision
  const certificate = await issue(await listener.prepareKey(), ports, now) // act
  await store.transaction((tx) => tx.certificates.insert(certificate)) // record
  await listener.install([certificate.der, ...authority.chain.slice(0, -1).map(({ der }) => der)])
  await recordInstalled(certificate, row, store, now)
  return decision
}

const namesOf = (certificate: ParsedCertificate | null): string[] => {
  const { dns = [], ip = [] } = certificate?.subjectAlternativeName?.names ?? {}
  return [...dns, ...ip]
}

const issue = (spki: Uint8Array, ports: ListenerPorts, now: Instant): Promise<Certificate> => {
  inspectPublicKey(spki)
  const { profile, names } = ports.settings.listener
  const [ip, dns] = [names.filter(isIpAddress), names.filter((name) => !isIpAddress(name))]
  const subject = encodeName([['CN', (dns[0] ?? ip[0] ?? 'everleaf').slice(0, 64)]])
  return issueCertificate(
    {
      profile,
      device: null,
      source: 'listener',
      subject,
      san: { dns, uri: [], ip },
      spki,
      predecessor: null,
      token: null,
    },
    ports,
    now,
  )
}

const recordInstalled = (
  certificate: Certificate,
  predecessor: Certificate | null,
  store: Ports['store'],
  now: Instant,
): Promise<void> =>
  store.transaction(async (tx) => {
    await tx.certificates.change(certificate, ['issued'], { state: 'confirmed', deliveredAt: now, confirmedAt: now })
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
