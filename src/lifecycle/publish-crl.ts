import type { Authority } from '../authority/authority.ts'
import { EverleafError, isEverleafError } from '../errors.ts'
import type { CrlRecord, Decision, Instant } from '../model.ts'
import { droppedSerials, type EncodedEntries, type ParsedCrl, parseCrl, verifyCrl } from '../pki/crl.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import { crlFreshness, mayDropEntry, nextCrlNumber, nextUpdateOf } from '../policy/crl.ts'
import { backdated, expiryOf } from '../policy/slot.ts'
import type { Artefact } from '../publication/publication.ts'
import { adoptLiveCrl, type CrlShard, crlPublishedEvent, crlRecordOf } from './adopt-crl.ts'
import { gatherRevocations, recallLive, rememberPublished } from './gather-revocations.ts'
import { crlKey, type Ports } from './ports.ts'
import { iso, recordEvent, recordEventOnce } from './record-event.ts'

type CrlPorts = Pick<Ports, 'store' | 'clock' | 'authorities' | 'publication' | 'settings'>

/**
 * Publishes one shard of one authority's CRL when it is due. What the live CRL knows beyond the store is adopted first
 * (P4); what was signed is read back, verified and compared with what is live before it is put (P5). Safe to repeat.
 */
export const publishCrl = async (
  { authority: id, shard, force = false }: CrlShard & { force?: boolean },
  ports: CrlPorts,
): Promise<Decision> => {
  const { store, clock, publication, settings } = ports
  const now = clock.now()
  const authority = findAuthority(id, ports.authorities.all) // gather
  const artefact = await publication.get(crlKey(id, shard))
  const recalled = recallLive({ authority: id, shard }, artefact, store)
  const live = recalled ?? readLive(artefact, authority)
  if (live !== null) await adoptLiveCrl({ live, authority, shard }, store, now)
  const record = await store.crls.get(id, shard)
  const unpublished = await store.revocations.countUnpublished(id, shard)
  const isDescribed = artefact?.manifest != null
  const { refresh } = settings.crl
  const decision = crlFreshness({ record, live, isDescribed, unpublished, refresh, force, now }) // decide
  if (decision.act === 'leave') return decision
  await tellStale({ authority: id, shard, record }, store, now)
  const highWater = (await publication.manifest(crlKey(id, shard)))?.version ?? null
  const known = [record?.number ?? null, live?.number ?? null, highWater === null ? null : BigInt(highWater)]
  const of = { authority: id, shard }
  try {
    const gathered = await gatherRevocations({ of, recalled, record, refresh, now }, store)
    const { entries, span } = gathered
    const next = await sign(authority, { entries, number: nextCrlNumber(known, now), record, now }, settings) // act
    await refuseUnsafe(next, { live, authority, expected: entries.count, now }, store)
    const dropped = Math.min(record?.thisUpdate ?? 0, now - settings.retention.certificates)
    const newRecord = crlRecordOf(of, next)
    await put({ next, record: newRecord, now }, artefact?.version ?? null, publication)
    await recordPublished({ record: newRecord, reason: decision.reason, mark: span.mark, dropped, now }, store) // record
    rememberPublished(of, { next, digest: newRecord.digest, gathered }, store)
  } catch (error) {
    if (isEverleafError(error, 'refused')) await tellRefused({ authority: id, shard }, error.message, store, now)
    throw error
  }
  return decision
}

const findAuthority = (id: string, all: readonly Authority[]): Authority => {
  const authority = all.find((candidate) => candidate.id === id)
  if (!authority)
    throw new EverleafError('not-found', `no authority ${id}; there are ${all.map((each) => each.id).join(', ')}`)
  return authority
}

/** What is live, if it is really ours; anything else protects nobody and is replaced. */
const readLive = (artefact: Artefact | null, authority: Authority): ParsedCrl | null => {
  if (artefact === null) return null
  try {
    const crl = parseCrl(artefact.bytes)
    return verifyCrl(crl, authority.certificate) ? crl : null
  } catch (error) {
    if (isEverleafError(error)) return null
    throw error
  }
}

const sign = async (
  authority: Authority,
  { entries, number, record, now }: { entries: EncodedEntries; number: bigint; record: CrlRecord | null; now: Instant },
  settings: Ports['settings'],
): Promise<ParsedCrl> => {
  const { crlSigner, certificate, id } = authority
  if (crlSigner === null) throw new EverleafError('refused', `authority ${id} signs no CRLs`)
  const { validity } = settings.crl
  return crlSigner.signCrl({
    number,
    thisUpdate: backdated(now, validity),
    nextUpdate: nextUpdateOf(record, now, expiryOf(now, validity, certificate.notAfter)),
    entries,
  })
}

const refuseUnsafe = async (
  next: ParsedCrl,
  { live, authority, expected, now }: { live: ParsedCrl | null; authority: Authority; expected: number; now: Instant },
  store: Ports['store'],
): Promise<void> => {
  const refuse = (message: string) => new EverleafError('refused', `CRL ${next.number} of ${authority.id}: ${message}`)
  if (!verifyCrl(next, authority.certificate)) throw refuse('its signature does not verify')
  if (next.entryCount !== expected) throw refuse(`it has ${next.entryCount} entries, the store has ${expected}`)
  if (live === null) return
  if (!sameBytes(next.issuer, live.issuer)) throw refuse('its issuer is not that of the live CRL')
  if (next.number <= live.number) throw refuse(`its number is not larger than ${live.number}, which is live`)
  for (const serial of droppedSerials(live, next)) {
    const revocation = await store.revocations.get({ authority: authority.id, serial })
    if (!mayDropEntry(live.thisUpdate, revocation?.notAfter ?? null, now))
      throw refuse(`serial ${serial} is in the live CRL ${live.number} and missing here before one CRL past its expiry`)
  }
}

interface PublishedCrl {
  record: CrlRecord
  reason: string
  /** Up to where the store's revocations were read. */
  mark: number
  /** What was published before, of certificates that expired before this, is neither in it nor to be remembered. */
  dropped: Instant
  now: Instant
}

const put = (
  { next, record: { authority, shard, digest }, now }: { next: ParsedCrl; record: CrlRecord; now: Instant },
  ifVersion: string | null,
  publication: Ports['publication'],
): Promise<string> =>
  publication.put(
    crlKey(authority, shard),
    next.der,
    { version: String(next.number), sha256: digest, count: next.entryCount, publishedAt: iso(now) },
    ifVersion,
  )

const recordPublished = (published: PublishedCrl, store: Ports['store']): Promise<void> =>
  store.transaction(async (tx) => {
    const { record, reason, mark, dropped, now } = published
    const { authority, shard, number } = record
    await tx.crls.put(record)
    await tx.revocations.prune(authority, shard, dropped) // before marking: what is new here is in it, however old
    await tx.revocations.markPublished(authority, shard, number, mark)
    await recordEvent(tx, crlPublishedEvent(record, reason, now))
  })

const tellRefused = (
  { authority, shard }: CrlShard,
  reason: string,
  store: Ports['store'],
  now: Instant,
): Promise<void> =>
  store.transaction((tx) =>
    recordEventOnce(
      tx,
      {
        at: now,
        subject: authority,
        detailType: 'CRL Refused',
        detail: { CertificateAuthority: authority, Shard: shard, Reason: reason.replace(/CRL \d+ of/, 'CRL of') },
      },
      ['CRL Published'],
    ),
  )

/** A CRL past its nextUpdate: gateways that check it refuse everybody now. Told before the new one is tried. */
const tellStale = async (
  { authority, shard, record }: CrlShard & { record: CrlRecord | null },
  store: Ports['store'],
  now: Instant,
): Promise<void> => {
  if (record === null || record.nextUpdate > now) return
  const detail = {
    CertificateAuthority: authority,
    Shard: shard,
    CrlNumber: String(record.number),
    NextUpdate: iso(record.nextUpdate),
  }
  await store.transaction((tx) =>
    recordEventOnce(tx, { at: now, subject: authority, detailType: 'CRL Stale', detail }, ['CRL Published']),
  )
}
