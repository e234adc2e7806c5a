import type { Decision, TrustAnchor, TruststoreRecord } from '../model.ts'

export type TruststoreReason = 'first' | 'anchors-changed' | 'missing' | 'restored' | 'forced' | 'unchanged'

export interface TruststorePlan {
  added: string[]
  removed: string[]
  /** Removed although their anchor was not retired: refused. */
  lost: string[]
}

/** The anchors that gateways shall trust now: all but the retired, authorities before partners, then by subject. */
export const anchorsToTrust = (anchors: readonly TrustAnchor[]): TrustAnchor[] =>
  anchors
    .filter((anchor) => anchor.state !== 'retired')
    .sort((a, b) => a.source.localeCompare(b.source) || a.subject.localeCompare(b.subject))

/** What the next version changes against the latest; an anchor leaves only by being retired first (P5). */
export const compareTruststores = (
  next: readonly string[],
  latest: readonly string[],
  retired: ReadonlySet<string>,
): TruststorePlan => {
  const removed = latest.filter((fingerprint) => !next.includes(fingerprint))
  return {
    added: next.filter((fingerprint) => !latest.includes(fingerprint)),
    removed,
    lost: removed.filter((fingerprint) => !retired.has(fingerprint)),
  }
}

/**
 * Whether a new truststore version is due. `live.digest`: of what is published now, null for nothing; `live.highWater`: the
 * highest version ever put there, larger than the latest known here after a restore.
 */
export const truststoreDue = (
  plan: TruststorePlan,
  latest: TruststoreRecord | null,
  live: { digest: string | null; highWater: number },
  force: boolean,
): Decision<'publish' | 'repair' | 'leave', TruststoreReason> => {
  if (latest === null) return { act: 'publish', reason: 'first', message: 'no truststore was published yet' }
  if (plan.added.length + plan.removed.length > 0)
    return {
      act: 'publish',
      reason: 'anchors-changed',
      message: `${plan.added.length} anchors added, ${plan.removed.length} removed since version ${latest.version}`,
    }
  if (live.highWater > latest.version)
    return {
      act: 'publish',
      reason: 'restored',
      message: `version ${live.highWater} was published and ${latest.version} is the latest known here`,
    }
  if (live.digest !== latest.digest)
    return { act: 'repair', reason: 'missing', message: `version ${latest.version} is not what is published` }
  if (force) return { act: 'publish', reason: 'forced', message: 'asked for' }
  return { act: 'leave', reason: 'unchanged', message: `version ${latest.version} holds every anchor` }
}
