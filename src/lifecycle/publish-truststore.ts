import { EverleafError, isEverleafError } from '../errors.ts'
import type { Decision, Instant, TrustAnchor, TrustAnchorState, TruststoreRecord } from '../model.ts'
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
export const planTruststore = async (
  { store, gateways }: Pick<TruststorePorts, 'store' | 'gateways'>,
  changes: ReadonlyMap<string, TrustAnchorState> = new Map(),
): Promise<PlannedTruststore> => {
  const known = (await store.anchors.list()).map((anchor) => ({
    ...anchor,
    state: changes.get(anchor.fingerprint) ?? anchor.state,
  }))
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
  try {
    const changes = rollbackTo === undefined ? new Map() : await rollbackChanges(rollbackTo, store) // gather
    const planned = await planTruststore(ports, changes)
    const latest = await store.truststores.latest()
    const artefact = await publication.get(truststoreKey)
    const highWater = Number((await publication.manifest(truststoreKey))?.version ?? 0)
    const live = { digest: artefact && sha256Hex(artefact.bytes), highWater }
    const decision = truststoreDue(planned, latest, live, force) // decide
    if (decision.act === 'leave') return decision
    const record = decision.act === 'repair' && latest ? latest : nextRecord(planned, { latest, live, now })
    refuseUnsafe(record, planned)
    if (decision.reason === 'restored' && !force) refuseForgetting(record, artefact, await store.anchors.list())
    await recordChanges(changes, store)
    if (!isLive(record, artefact)) await put(record, artefact, publication) // act
    if (decision.act === 'publish') await recordPublished(record, planned, decision.reason, { store, now }) // record
    return decision
  } catch (error) {
    // What an operator asked for and did not get is his to know; the outside hears of what stands in the way for good.
    if (isEverleafError(error, 'refused') && rollbackTo === undefined) await tellRefused(error.message, store, now)
    throw error
  }
}

/**
 * The changes that set the anchors back to those of an earlier version, which is published under a new number. An authority of this
 * server is never rolled out of the truststore: everything that it issued would be cut off.
 */
const rollbackChanges = async (version: number, store: Ports['store']): Promise<Map<string, TrustAnchorState>> => {
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
  const returning = anchors.filter(
    ({ fingerprint, state }) => state === 'retired' && target.anchors.includes(fingerprint),
  )
  return new Map([
    ...leaving.map(({ fingerprint }) => [fingerprint, 'retired'] as const),
    ...returning.map(({ fingerprint }) => [fingerprint, 'active'] as const),
  ])
}

const recordChanges = async (changes: ReadonlyMap<string, TrustAnchorState>, store: Ports['store']): Promise<void> => {
  if (changes.size === 0) return
  await store.transaction(async (tx) => {
    for (const [fingerprint, state] of changes) await tx.anchors.setState(fingerprint, state)
  })
}

const nextRecord = (
  planned: PlannedTruststore,
  {
    latest,
    live,
    now,
  }: { latest: TruststoreRecord | null; live: { digest: string | null; highWater: number }; now: Instant },
): TruststoreRecord => {
  const known = latest?.version ?? 0
  // Cut off between the put and the record, the same version is recorded: versions have no gap.
  const unrecorded = recordOf(planned, live.highWater, now)
  if (live.highWater > known && unrecorded.digest === live.digest) return unrecorded
  return recordOf(planned, Math.max(known, live.highWater) + 1, now)
}

const recordOf = ({ anchors }: PlannedTruststore, version: number, now: Instant): TruststoreRecord => {
  const certificates = anchors.map(({ der }) => parseCertificate(der))
  const pem = encodeTruststore(certificates, [`Everleaf truststore version ${version}`])
  const digest = sha256Hex(new TextEncoder().encode(pem))
  return { version, digest, anchors: anchors.map(({ fingerprint }) => fingerprint), pem, publishedAt: now }
}

const isLive = ({ version, digest }: TruststoreRecord, artefact: Artefact | null): boolean =>
  artefact?.manifest?.version === String(version) && artefact.manifest.sha256 === digest

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

/** After a restore: what is live may trust anchors that this store never knew, and only an operator can tell why. */
const refuseForgetting = (record: TruststoreRecord, live: Artefact | null, known: readonly TrustAnchor[]): void => {
  if (live?.manifest == null) return
  const fingerprints = new Set(known.map(({ fingerprint }) => fingerprint))
  const unknown = parseTruststore(new TextDecoder().decode(live.bytes)).filter(
    ({ fingerprint }) => !fingerprints.has(fingerprint),
  )
  if (unknown.length > 0)
    throw new EverleafError(
      'refused',
      `truststore version ${record.version}: the live version ${live.manifest.version} trusts ${unknown.map(({ subjectText }) => subjectText).join('; ')}, unknown to this store, which may be a restored one; publish with force to drop it`,
    )
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

const tellRefused = (reason: string, store: Ports['store'], now: Instant): Promise<void> =>
  store.transaction((tx) =>
    recordEventOnce(
      tx,
      {
        at: now,
        subject: 'truststore',
        detailType: 'Truststore Refused',
        detail: { Reason: reason },
      },
      ['Truststore Published'],
    ),
  )
