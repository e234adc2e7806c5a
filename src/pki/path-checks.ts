import type { Instant } from '../model.ts'
import type { ParsedCertificate } from './certificate.ts'
import type { ParsedCrl } from './crl.ts'
import { findCrlEntry, verifyCrl } from './crl.ts'
import type { Finding, PathCheck, PathFailure } from './path-failure.ts'
import { pathFailure } from './path-failure.ts'
import { sameBytes } from './same-bytes.ts'

/** What a path is held against. */
export interface PathTerms {
  now: Instant
  purpose: 'clientAuth' | 'serverAuth'
  /** The grace: until then the leaf, and only it, may be past its end. */
  allowExpiredLeafUntil?: Instant
  /** Absent: revocation is not looked at. Present: every certificate below the anchor needs a CRL of its issuer. */
  crls?: readonly ParsedCrl[]
}

/** One certificate in its path. Index 0 is the leaf. */
interface Place {
  certificate: ParsedCertificate
  index: number
  path: readonly ParsedCertificate[]
  terms: PathTerms
  /** CRLs that the certificate's issuer signed and that can be relied on; null: not asked for, or the anchor. */
  crls: readonly ParsedCrl[] | null
}

type Check = (place: Place) => Finding | null

const iso = (instant: Instant): string => new Date(instant).toISOString()

const list = (items: readonly string[]): string => (items.length === 0 ? 'none' : items.join(', '))

const unknownCriticalExtension: Check = ({ certificate: { unknownCritical } }) =>
  unknownCritical.length === 0
    ? null
    : { expected: 'no critical extension that is not processed', actual: unknownCritical.join(', ') }

const basicConstraints: Check = ({ certificate: { authority }, index }) => {
  if (index > 0) return authority === null ? { expected: 'CA:TRUE in an issuer', actual: 'CA:FALSE' } : null
  return authority === null ? null : { expected: 'CA:FALSE in a leaf', actual: 'CA:TRUE' }
}

/** Self-issued certificates do not count (RFC 5280 §4.2.1.9). */
const pathLength: Check = ({ certificate: { authority }, index, path }) => {
  const allowed = authority?.pathLength ?? null
  if (index === 0 || allowed === null) return null
  const below = path.slice(1, index).filter(({ subject, issuer }) => !sameBytes(subject, issuer)).length
  return below > allowed ? { expected: `at most ${allowed} CA certificates below it`, actual: String(below) } : null
}

/** TLS 1.3, and 1.2 with forward secrecy, need digitalSignature of a leaf. */
const keyUsage: Check = ({ certificate: { keyUsage: usages }, index }) => {
  const needed = index === 0 ? 'digitalSignature' : 'keyCertSign'
  return usages === null || usages.includes(needed) ? null : { expected: needed, actual: list(usages) }
}

/** An issuer's extended key usage bounds those of what it issues, as OpenSSL and browsers have it. Absent means any. */
const extendedKeyUsage: Check = ({ certificate: { extendedKeyUsage: usages }, terms: { purpose } }) =>
  usages === null || usages.includes(purpose) ? null : { expected: purpose, actual: list(usages) }

const validity: Check = ({ certificate: { notBefore, notAfter }, index, terms: { now, allowExpiredLeafUntil } }) => {
  if (now < notBefore) return { expected: `not before ${iso(notBefore)}`, actual: `now ${iso(now)}` }
  if (now <= notAfter) return null
  if (index > 0 || allowExpiredLeafUntil === undefined)
    return { expected: `not after ${iso(notAfter)}`, actual: `now ${iso(now)}` }
  if (now <= allowExpiredLeafUntil) return null
  return {
    expected: `not after ${iso(notAfter)}, in grace until ${iso(allowExpiredLeafUntil)}`,
    actual: `now ${iso(now)}`,
  }
}

/** A stale CRL that names the certificate counts too: a revocation is final. */
const revoked: Check = ({ certificate: { serial }, crls }) => {
  for (const crl of crls ?? []) {
    const entry = findCrlEntry(crl, serial)
    if (entry === null) continue
    const where = `CRL ${crl.number} of "${crl.issuerText}"`
    return {
      expected: `serial ${serial} not in ${where}`,
      actual: `revoked at ${iso(entry.revokedAt)}, reason ${entry.reason}`,
    }
  }
  return null
}

const crlMissing: Check = ({ certificate: { issuer, issuerText }, crls, terms }) => {
  if (crls === null || crls.length > 0) return null
  const named = (terms.crls ?? []).filter((crl) => sameBytes(crl.issuer, issuer))
  const critical = named.flatMap(({ unknownCritical }) => unknownCritical)
  return {
    expected: `a CRL of "${issuerText}"`,
    actual:
      named.length === 0
        ? 'none'
        : critical.length > 0
          ? `one with a critical extension that is not processed: ${list(critical)}`
          : 'one that its key did not sign or may not sign',
  }
}

const crlStale: Check = ({ crls, terms: { now } }) => {
  const [first] = crls ?? []
  if (crls === null || first === undefined) return null
  if (crls.some(({ thisUpdate, nextUpdate }) => thisUpdate <= now && now <= nextUpdate)) return null
  const newest = crls.reduce((best, crl) => (crl.nextUpdate > best.nextUpdate ? crl : best), first)
  return {
    expected: `a CRL of "${newest.issuerText}" good at ${iso(now)}`,
    actual: `CRL ${newest.number} from ${iso(newest.thisUpdate)} to ${iso(newest.nextUpdate)}`,
  }
}

/** In the order in which they run: a path that fails a later one was closer to being good. */
const checks: ReadonlyArray<readonly [PathCheck, Check]> = [
  ['unknownCriticalExtension', unknownCriticalExtension],
  ['basicConstraints', basicConstraints],
  ['pathLength', pathLength],
  ['keyUsage', keyUsage],
  ['extendedKeyUsage', extendedKeyUsage],
  ['validity', validity],
  ['revoked', revoked],
  ['crlMissing', crlMissing],
  ['crlStale', crlStale],
]

/** Holds a path of good signatures against the terms, each check from the anchor down. Null: all passed. */
export function checkPath(
  path: readonly ParsedCertificate[],
  terms: PathTerms,
): { passed: number; failure: PathFailure } | null {
  const places = path.map((certificate, index) => ({
    certificate,
    index,
    path,
    terms,
    crls: reliableCrls(path[index + 1], terms),
  }))
  for (const [passed, [check, run]] of checks.entries()) {
    for (const place of places.toReversed()) {
      const finding = run(place)
      if (finding !== null) return { passed, failure: pathFailure(check, place.certificate, finding) }
    }
  }
  return null
}

function reliableCrls(issuer: ParsedCertificate | undefined, { crls }: PathTerms): readonly ParsedCrl[] | null {
  if (crls === undefined || issuer === undefined) return null
  return crls.filter((crl) => crl.unknownCritical.length === 0 && verifyCrl(crl, issuer))
}
