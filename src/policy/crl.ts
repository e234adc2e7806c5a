import type { CrlRecord, Decision, Duration, Instant } from '../model.ts'

export interface CrlFacts {
  /** What the store knows to be published. */
  record: CrlRecord | null
  /** The CRL that is live, verified as ours; null: none that can be read. */
  live: { number: bigint; nextUpdate: Instant } | null
  /** Whether the manifest beside the live one fits it. */
  isDescribed: boolean
  /** Revocations that no published CRL holds yet. */
  unpublished: number
  /** A CRL is rebuilt at least this often. */
  refresh: Duration
  force: boolean
  now: Instant
}

export type CrlReason =
  | 'first'
  | 'missing'
  | 'adopted'
  | 'revocations'
  | 'aged'
  | 'clock-behind'
  | 'cut-off'
  | 'forced'
  | 'fresh'

/** Whether a shard needs a new CRL now. */
export const crlFreshness = (facts: CrlFacts): Decision<'publish' | 'leave', CrlReason> => {
  const { record, live, isDescribed, unpublished, refresh, force, now } = facts
  const publish = (reason: CrlReason, message: string) => ({ act: 'publish' as const, reason, message })
  if (live === null && record === null) return publish('first', 'nothing was published yet')
  if (live === null)
    return publish('missing', `CRL ${record?.number} was published and is not there, or cannot be verified`)
  if (record === null || live.number < record.number)
    return publish('adopted', `the live CRL ${live.number} is not the recorded one, ${record?.number ?? 'none'}`)
  if (unpublished > 0) return publish('revocations', `${unpublished} revocations are not in CRL ${live.number}`)
  if (now >= record.thisUpdate + refresh)
    return publish('aged', `CRL ${live.number} is of ${new Date(record.thisUpdate).toISOString()}`)
  if (now < record.thisUpdate)
    return publish(
      'clock-behind',
      `CRL ${live.number} is of ${new Date(record.thisUpdate).toISOString()}, which is still to come: readers would refuse it`,
    )
  if (!isDescribed)
    return publish('cut-off', `CRL ${live.number} lacks its manifest, so it looks like a damaged one to its readers`)
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
 * What expired before this was in a CRL past its expiry and may be left out of the next (RFC 5280 §3.3). A previous CRL that
 * is of a time still to come was made while the clock was ahead: what it left out may not have expired at all.
 */
export const dropsBefore = (previousThisUpdate: Instant, now: Instant): Instant => Math.min(previousThisUpdate, now)

/** An entry may be missing from the next CRL only if the live one was the "one CRL past expiry" of RFC 5280 §3.3. */
export const mayDropEntry = (liveThisUpdate: Instant, notAfter: Instant | null, now: Instant): boolean =>
  notAfter !== null && notAfter < dropsBefore(liveThisUpdate, now)

/** Usually counted from now. While the clock is behind never earlier than promised before: it may be this clock that is wrong. */
export const nextUpdateOf = (
  previous: Pick<CrlRecord, 'thisUpdate' | 'nextUpdate'> | null,
  now: Instant,
  usual: Instant,
): Instant => (previous !== null && now < previous.thisUpdate ? Math.max(usual, previous.nextUpdate) : usual)

/**
 * Whether the next CRL may be made of the last one and what changed. After `refresh` the rows themselves are read again, so that
 * no mistake is handed on for long.
 */
export const mayContinueCrl = ({
  readAt,
  refresh,
  now,
}: {
  /** When the rows were last read in full. */
  readAt: Instant
  refresh: Duration
  now: Instant
}): boolean => now >= readAt && now < readAt + refresh
