import type { ParsedCertificate } from './certificate.ts'
import type { Candidates } from './path-build.ts'
import { buildPaths } from './path-build.ts'
import type { PathTerms } from './path-checks.ts'
import { checkPath } from './path-checks.ts'
import type { PathFailure } from './path-failure.ts'
import { pathFailure } from './path-failure.ts'

export type { PathCheck, PathFailure } from './path-failure.ts'

export type PathRequest = Candidates & PathTerms

/** `path` from the leaf to the trust anchor. */
export type PathResult = { ok: true; path: readonly ParsedCertificate[] } | PathFailure

/**
 * Validates a client or server certificate (RFC 5280 §6) and, where it fails, tells which check failed on which
 * certificate with both compared values. Every chain of candidate issuers is tried, within a bound; of several failures
 * the one of the chain that came furthest is told. Trust anchors are held to the same checks as what they issued, but for
 * their signature. Within a grace the caller looks up revocation itself: expired certificates drop out of CRLs.
 */
export function validatePath(request: PathRequest): PathResult {
  let unfinished: { height: number; failure: PathFailure } | null = null
  let best: { passed: number; failure: PathFailure } | null = null
  const note = (height: number, failure: PathFailure) => {
    if (unfinished === null || height > unfinished.height) unfinished = { height, failure }
  }
  for (const path of buildPaths(request, note)) {
    const outcome = checkPath(path, request)
    if (outcome === null) return { ok: true, path }
    if (best === null || outcome.passed > best.passed) best = outcome
  }
  const told: { failure: PathFailure } | null = best ?? unfinished
  return (
    told?.failure ?? pathFailure('untrusted', request.leaf, { expected: 'a chain to a trust anchor', actual: 'none' })
  )
}
