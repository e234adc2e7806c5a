import { EverleafError, isEverleafError } from '../errors.ts'
import type { Decision, Instant, TrustAnchor, TruststoreRecord } from '../model.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { sha256Hex } from '../pki/digest.ts'
import { checkTruststoreLimits, encodeTruststore, parseTruststore } from '../pki/truststore.ts'
import { anchorsToTrust, compareTruststores, type TruststorePlan, truststoreDue } from '../policy/truststore.ts'
import type { Artefact } from '../publication/publication.ts'
import { type Ports, truststoreKey } from './ports.ts'
import { iso, recordEvent, recordEventOnce } from './record-event.ts'

type TruststorePorts = Pick<Ports, 'store' | 'clock' | 'publication' | 'gateways'>

export interface PlannedTruststore extends TruststorePlan {
  version: number
  anchors: TrustAnchor[]
  pem: string
  /** What a gateway would not accept, in words; empty: all accept it. */
  violations: string[]
}

/** What the next truststore version would hold and change, without publishing it. */
export const planTruststore = async ({
  store,
  gateways,
}: Pick<TruststorePorts, 'store' | 'gateways'>): Promise<PlannedTruststore> => {
  const known = await store.anchors.list()
  const latest = await store.truststores.latest()
  const anchors = anchorsToTrust(known)
  const retired = new Set(known.filter(({ state }) => state === 'retired').map(({ fingerprint }) => fingerprint))
  const fingerprints = anchors.map(({ fingerprint }) => fingerprint)
  const plan = compareTruststores(fingerprints, latest?.anchors ?? [], retired)
  const isChange = plan.added.length + plan.removed.length > 0
  const version = latest === null ? 1 : isChange ? latest.version + 1 : latest.version
  const certificates = anchors.map(({ der }) => parseCertificate(der))
  const pem = encodeTruststore(certificates, [`Everleaf truststore version ${version}`])
  const violations = [...gateways.values()].flatMap((gateway) =>
    checkTruststoreLimits(pem, certificates, gateway.limits).map((violation) => `${gateway.name}: ${violation}`),
  )
  return { ...plan, version, anchors, pem, violations }
}

/** Publishes the next truststore version when the anchors changed or what is published is not what was put. */
export const publishTruststore = async (
  { force = false, rollbackTo }: { force?: boolean; rollbackTo?: number },
  ports: TruststorePorts,
): Promise<Decision> => {
  const { store, clock, publication } = ports
  const now = clock.now()
  if (rollbackTo !== undefined) await rollBackAnchors(rollbackTo, store)
  const planned = await planTruststore(ports) // gather
  const latest = await store.truststores.latest()
  const artefact = await publication.get(truststoreKey)
  const highWater = Number((await publication.manifest(truststoreKey))?.version ?? 0)
  const live = { digest: artefact && sha256Hex(artefact.bytes), highWater }
  const decision = truststoreDue(planned, latest, live, force) // decide
  if (decision.act === 'leave') return decision
  const record = decision.act === 'repair' && latest ? latest : nextRecord(planned, { latest, highWater, now })
  try {
    refuseUnsafe(record, planned)
    await put(record, artefact, publication) // act
  } catch (error) {
    if (isEverleafError(error, 'refused')) await tellRefused(record.version, error.message, store, now)
    throw error
  }
  if (decision.act === 'publish') await recordPublished(record, planned, decision.reason, { store, now }) // record
  return decision
}

/**
 * Sets the anchors back to those of an earlier version, which is then published under a new number. An authority of this
 * server is never rolled out of the truststore: everything that it issued would be cut off.
 */
const rollBackAnchors = async (version: number, store: Ports['store']): Promise<void> => {
  const target = await store.truststores.get(version)
  if (!target) throw new EverleafError('not-found', `no truststore version ${version}`)
  const anchors = await store.anchors.list()
  const leaving = anchors.filter(
    ({ fingerprint, state }) => state !== 'retired' && !target.anchors.includes(fingerprint),
  )
  const own = leaving.find(({ source }) => source === 'authority')
  if (own)
    throw new EverleafError(
      'refused',
      `version ${version} lacks ${own.subject}; every certificate below it would be refused`,
    )
  await store.transaction(async (tx) => {
    for (const { fingerprint } of leaving) await tx.anchors.setState(fingerprint, 'retired')
    for (const { fingerprint, state } of anchors)
      if (state === 'retired' && target.anchors.includes(fingerprint)) await tx.anchors.setState(fingerprint, 'active')
  })
}

const nextRecord = (
  planned: PlannedTruststore,
  { latest, highWater, now }: { latest: TruststoreRecord | null; highWater: number; now: Instant },
): TruststoreRecord => {
  const version = Math.max((latest?.version ?? 0) + 1, highWater + 1)
  const certificates = planned.anchors.map(({ der }) => parseCertificate(der))
  const pem = encodeTruststore(certificates, [`Everleaf truststore version ${version}`])
  const digest = sha256Hex(new TextEncoder().encode(pem))
  return { version, digest, anchors: planned.anchors.map(({ fingerprint }) => fingerprint), pem, publishedAt: now }
}

/** Reads the text again as a gateway would, and compares it with what it was made from. */
const refuseUnsafe = (record: TruststoreRecord, planned: PlannedTruststore): void => {
  const refuse = (message: string) => new EverleafError('refused', `truststore version ${record.version}: ${message}`)
  const read = parseTruststore(record.pem).map(({ fingerprint }) => fingerprint)
  if (read.length === 0) throw refuse('it holds no anchor; every client would be refused')
  if (read.join() !== record.anchors.join()) throw refuse('what is read back is not what was put in')
  if (planned.lost.length > 0)
    throw refuse(`anchor ${planned.lost.join(', ')} would be lost without having been retired`)
  if (planned.violations.length > 0) throw refuse(planned.violations.join('; '))
}

const put = (record: TruststoreRecord, live: Artefact | null, publication: Ports['publication']): Promise<string> =>
  publication.put(
    truststoreKey,
    new TextEncoder().encode(record.pem),
    {
      version: String(record.version),
      sha256: record.digest,
      count: record.anchors.length,
      publishedAt: iso(record.publishedAt),
    },
    live?.version ?? null,
  )

const recordPublished = (
  record: TruststoreRecord,
  plan: TruststorePlan,
  reason: string,
  { store, now }: { store: Ports['store']; now: Instant },
): Promise<void> =>
  store.transaction(async (tx) => {
    await tx.truststores.insert(record)
    const detail = {
      Version: record.version,
      Sha256: record.digest,
      Certificates: record.anchors.length,
      Added: plan.added,
      Removed: plan.removed,
      Reason: reason,
    }
    await recordEvent(tx, { at: now, subject: 'truststore', detailType: 'Truststore Published', detail })
  })

const tellRefused = (version: number, reason: string, store: Ports['store'], now: Instant): Promise<void> =>
  store.transaction((tx) =>
    recordEventOnce(
      tx,
      {
        at: now,
        subject: 'truststore',
        detailType: 'Truststore Refused',
        detail: { Version: version, Reason: reason },
      },
      ['Truststore Published'],
    ),
  )
