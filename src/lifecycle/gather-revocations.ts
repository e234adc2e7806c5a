import type { CrlRecord, Duration, Instant, Serial } from '../model.ts'
import { detachCrl, type EncodedEntries, type ParsedCrl } from '../pki/crl.ts'
import { createEntryWriter, encodeEntries } from '../pki/crl-entries.ts'
import { mergeEntries } from '../pki/crl-scan.ts'
import { dropsBefore, mayContinueCrl } from '../policy/crl.ts'
import { concat } from '../protocol/der.ts'
import type { Artefact } from '../publication/publication.ts'
import type { CrlRow, CrlSpan, Store } from '../store/store.ts'
import type { CrlShard } from './adopt-crl.ts'
import { crlKey } from './ports.ts'

/** Changes beyond which reading every row is not slower. */
const mostChanges = 10_000

/** The CRL that this process published last of a shard, without its octets. */
interface Published {
  /** SHA-256 of the CRL. */
  digest: string
  over: (der: Uint8Array) => ParsedCrl
  span: CrlSpan
  /** When the rows were last read in full. */
  readAt: Instant
}

/** Of each open store. Another process, a restored store or one opened anew knows nothing and reads every row. */
const remembered = new WeakMap<Store, Map<string, Published>>()

const recall = ({ authority, shard }: CrlShard, store: Store): Published | null =>
  remembered.get(store)?.get(crlKey(authority, shard)) ?? null

/** What is live, where its octets are those that this process read back, verified and published. */
export const recallLive = (of: CrlShard, artefact: Artefact | null, store: Store): ParsedCrl | null => {
  const last = recall(of, store)
  return artefact?.manifest != null && artefact.manifest.sha256 === last?.digest ? last.over(artefact.bytes) : null
}

export interface Gathered {
  entries: EncodedEntries
  span: CrlSpan
  readAt: Instant
}

/** To be called when `next` is live and recorded with this digest. */
export const rememberPublished = (
  of: CrlShard,
  { next, digest, gathered }: { next: ParsedCrl; digest: string; gathered: Gathered },
  store: Store,
): void => {
  const { span, readAt } = gathered
  const shards = remembered.get(store) ?? new Map<string, Published>()
  shards.set(crlKey(of.authority, of.shard), { digest, over: detachCrl(next), span, readAt })
  remembered.set(store, shards)
}

export interface Wanted {
  of: CrlShard
  /** From `recallLive`. */
  recalled: ParsedCrl | null
  record: CrlRecord | null
  refresh: Duration
  now: Instant
}

/**
 * What the next CRL must hold, encoded. It is made of the live one and what changed since, where that is the recorded one, this
 * process published it, and the result has as many entries as the store counts; of the rows otherwise, and once `refresh` has
 * passed since they were read.
 */
export const gatherRevocations = async (wanted: Wanted, store: Store): Promise<Gathered> =>
  (await continueLive(wanted, store)) ?? (await readRows(wanted, store))

const continueLive = async (wanted: Wanted, store: Store): Promise<Gathered | null> => {
  const { of, recalled, record, refresh, now } = wanted
  const last = recall(of, store)
  if (recalled === null || record === null || last === null || last.digest !== record.digest) return null
  if (!recalled.ascending || !mayContinueCrl({ readAt: last.readAt, refresh, now })) return null
  const previousThisUpdate = dropsBefore(record.thisUpdate, now)
  const changes = await store.revocations.changesForCrl(of, last.span, previousThisUpdate, mostChanges)
  if (changes === null) return null
  const { mark, count, added, dropped } = changes
  const entries = mergeEntries(recalled.entryBytes, encoded(added), encoded(dropped.map(bare)))
  if (entries === null || entries.count !== count) return null
  return { entries, span: { mark, published: last.span.mark, previousThisUpdate }, readAt: last.readAt }
}

const encoded = (rows: readonly CrlRow[]): Uint8Array => concat(...encodeEntries(rows).chunks)

/** An entry of which the serial alone counts. */
const bare = (serial: Serial): CrlRow => ({ serial, revokedAt: 0, reason: 'unspecified' })

const readRows = async ({ of, record, now }: Wanted, store: Store): Promise<Gathered> => {
  const previousThisUpdate = record && dropsBefore(record.thisUpdate, now)
  const { mark, published, chunks } = await store.revocations.forCrl(of.authority, of.shard, previousThisUpdate)
  const writer = createEntryWriter()
  for await (const chunk of chunks) for (const row of chunk) writer.add(row)
  return { entries: writer.end(), span: { mark, published, previousThisUpdate }, readAt: now }
}
