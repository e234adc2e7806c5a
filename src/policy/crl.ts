import type { CrlRecord, Decision, Duration, Instant } from '../model.ts'

export interface CrlFacts {
  /** What the store knows to be published. */
  record: CrlRecord | null
  /** The CRL that is live, verified as ours; null: none that can be read. */
  live: { number: bigint; nextUpdate: Instant } | null
  /** Revocations that no published CRL holds yet. */
  unpublished: number
  /** A CRL is rebuilt at least this often. */
  refresh: Duration
  force: boolean
  now: Instant
}

export type CrlReason = 'first' | 'missing' | 'adopted' | 'revocations' | 'aged' | 'forced' | 'fresh'

/** Whether a shard needs a new CRL now. */
export const crlFreshness = (facts: CrlFacts): Decision<'publish' | 'leave', CrlReason> => {
  const { record, live, unpublished, refresh, force, now } = facts
  const publish = (reason: CrlReason, message: string) => ({ act: 'publish' as const, reason, message })
  if (live === null && record === null) return publish('first', 'nothing was published yet')
  if (live === null)
    return publish('missing', `CRL ${record?.number} was published and is not there, or cannot be verified`)
  if (record === null || live.number < record.number)
    return publish('adopted', `the live CRL ${live.number} is not the recorded one, ${record?.number ?? 'none'}`)
  if (unpublished > 0) return publish('revocations', `${unpublished} revocations are not in CRL ${live.number}`)
  if (now >= record.thisUpdate + refresh)
    return publish('aged', `CRL ${live.number} is of ${new Date(record.thisUpdate).toISOString()}`)
  if (force) return publish('forced', 'asked for')
  return { act: 'leave', reason: 'fresh', message: `CRL ${live.number} holds every revocation` }
}

/**
 * `max(previous + 1, now)`: grows after a restore too, since it does not depend on a counter that was restored.
 * `known` are the numbers seen anywhere: the store's, the live CRL's, the high-water mark beside it.
 */
export const nextCrlNumber = (known: ReadonlyArray<bigint | null>, now: Instant): bigint =>
  known.reduce<bigint>((highest, number) => (number !== null && number >= highest ? number + 1n : highest), BigInt(now))

/**
 * An entry may be missing from the next CRL only if the live one was issued after the certificate's expiry: then the live
 * one was the "one CRL past expiry" of RFC 5280 §3.3.
 */
export const mayDropEntry = (liveThisUpdate: Instant, notAfter: Instant | null): boolean =>
  notAfter !== null && notAfter < liveThisUpdate
