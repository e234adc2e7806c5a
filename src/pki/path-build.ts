import { toHex } from '../protocol/hex.ts'
import type { ParsedCertificate } from './certificate.ts'
import { nameOf } from './name-of.ts'
import type { Finding, PathCheck, PathFailure } from './path-failure.ts'
import { pathFailure } from './path-failure.ts'
import { sameBytes } from './same-bytes.ts'
import { type SignatureAlgorithm, verifySignature } from './signature.ts'

/** CA certificates between the leaf, not counted, and the trust anchor, counted: what AWS gateways take. */
export const maximumAuthorities = 4

/** Signatures tried in one search. A client may send any mesh of cross-certificates; an honest chain needs four. */
const maximumSignatures = 64

export interface Candidates {
  leaf: ParsedCertificate
  intermediates: readonly ParsedCertificate[]
  anchors: readonly ParsedCertificate[]
}

type Path = readonly ParsedCertificate[]

/** Tells why a branch of the search ended; `height` is the number of certificates up to and with the failing one. */
type Note = (height: number, failure: PathFailure) => void

interface Search {
  byName: ReadonlyMap<string, readonly ParsedCertificate[]>
  anchors: ReadonlySet<string>
  anchorNames: string
  signaturesLeft: number
  note: Note
}

/**
 * The chains of names and good signatures from the leaf to a trust anchor, leaf first. An anchor that another anchor
 * issued is not the end: its issuer is, so that its own validity and revocation are looked at.
 */
export function buildPaths({ leaf, intermediates, anchors }: Candidates, note: Note): Generator<Path> {
  const byName = new Map<string, ParsedCertificate[]>()
  const known = new Set<string>()
  for (const certificate of [...anchors, ...intermediates]) {
    if (known.has(certificate.fingerprint)) continue
    known.add(certificate.fingerprint)
    const name = toHex(certificate.subject)
    byName.set(name, [...(byName.get(name) ?? []), certificate])
  }
  return extend([leaf], leaf, {
    byName,
    anchors: new Set(anchors.map(({ fingerprint }) => fingerprint)),
    anchorNames: listNames(anchors),
    signaturesLeft: maximumSignatures,
    note,
  })
}

function listNames(anchors: readonly ParsedCertificate[]): string {
  const shown = anchors.slice(0, 3).map((anchor) => `"${nameOf(anchor)}"`)
  const rest = anchors.length > shown.length ? ` and ${anchors.length - shown.length} more` : ''
  return `a chain to one of ${anchors.length} trust anchors: ${shown.join(', ')}${rest}`
}

function* extend(path: Path, top: ParsedCertificate, search: Search): Generator<Path> {
  const fail = (check: PathCheck, finding: Finding) => search.note(path.length, pathFailure(check, top, finding))
  const isAnchor = path.length > 1 && search.anchors.has(top.fingerprint)
  const named = search.byName.get(toHex(top.issuer)) ?? []
  const fresh = named.filter((candidate) => !isIn(path, candidate))
  const candidates = isAnchor ? fresh.filter(({ fingerprint }) => search.anchors.has(fingerprint)) : fresh
  let issued = false
  for (const candidate of candidates) {
    const problem = signatureProblem(top, candidate, search)
    if (problem !== null) {
      if (!isAnchor) fail('signature', problem)
      continue
    }
    issued = true
    if (path.length > maximumAuthorities) {
      fail('depth', { expected: `at most ${maximumAuthorities} CA certificates above the leaf`, actual: 'more' })
      return
    }
    yield* extend([...path, candidate], candidate, search)
  }
  if (isAnchor && !issued) yield path
  if (!isAnchor && candidates.length === 0) failWithoutIssuer(top, named, search, fail)
}

/** Same name and same key: coming by it again would only go round (RFC 4158 §5.2). */
const isIn = (path: Path, candidate: ParsedCertificate): boolean =>
  path.some(({ subject, spki }) => sameBytes(subject, candidate.subject) && sameBytes(spki, candidate.spki))

/** What was found out for two certificates that are still there: CAs stay, and P-384 costs ten times what P-256 does. */
const verified = new WeakMap<ParsedCertificate, WeakMap<ParsedCertificate, boolean>>()

function hasSigned(issuer: ParsedCertificate, certificate: ParsedCertificate, algorithm: SignatureAlgorithm): boolean {
  const known = verified.get(certificate)?.get(issuer)
  if (known !== undefined) return known
  const { tbs, signature } = certificate
  const good = verifySignature({ spki: issuer.spki, algorithm, data: tbs, signature })
  const results = verified.get(certificate) ?? new WeakMap<ParsedCertificate, boolean>()
  verified.set(certificate, results.set(issuer, good))
  return good
}

function signatureProblem(certificate: ParsedCertificate, issuer: ParsedCertificate, search: Search): Finding | null {
  const wanted = certificate.authorityKeyIdentifier
  const found = issuer.subjectKeyIdentifier
  const expected = `a signature by "${nameOf(issuer)}"`
  if (wanted !== null && found !== null && !sameBytes(wanted, found))
    return { expected: `${expected} with key ${toHex(wanted)}`, actual: `that name with key ${toHex(found)}` }
  if (certificate.signatureAlgorithm === null)
    return { expected: `${expected} by ECDSA or RSA with SHA-256 or longer`, actual: 'another signature algorithm' }
  if (search.signaturesLeft === 0)
    return { expected: `a chain found within ${maximumSignatures} signatures`, actual: 'more candidates than that' }
  search.signaturesLeft -= 1
  const good = hasSigned(issuer, certificate, certificate.signatureAlgorithm)
  return good ? null : { expected, actual: 'a signature that does not verify with that key' }
}

function failWithoutIssuer(
  top: ParsedCertificate,
  named: readonly ParsedCertificate[],
  { byName, anchorNames }: Search,
  fail: (check: PathCheck, finding: Finding) => void,
): void {
  const key = top.authorityKeyIdentifier
  const renamed = [...byName.values()]
    .flat()
    .find(
      ({ subjectKeyIdentifier }) =>
        key !== null && subjectKeyIdentifier !== null && sameBytes(key, subjectKeyIdentifier),
    )
  if (sameBytes(top.issuer, top.subject)) {
    fail('untrusted', { expected: anchorNames, actual: 'a self-signed certificate that is none of them' })
  } else if (named.length > 0) {
    fail('untrusted', { expected: anchorNames, actual: `a loop that comes back to "${top.issuerText}"` })
  } else if (renamed !== undefined) {
    fail('nameChaining', {
      expected: `issuer name "${nameOf(renamed)}", the holder of key ${toHex(key ?? new Uint8Array(0))}`,
      actual: `issuer name "${top.issuerText}"`,
    })
  } else {
    fail('untrusted', { expected: anchorNames, actual: `no certificate of its issuer "${top.issuerText}"` })
  }
}
