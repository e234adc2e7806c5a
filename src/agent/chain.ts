import { oid } from '../protocol/oid.ts'
import { type AgentCertificate, describe } from './certificate.ts'
import { isoTime } from './clock.ts'
import { AgentError } from './error.ts'

/** What the agent understands; a critical extension beyond these makes a certificate unusable (RFC 5280 §4.2). */
const understood: readonly string[] = [oid.basicConstraints, oid.keyUsage, oid.extKeyUsage, oid.subjectAltName]

/** Certificates in a path at most, and signature checks in one search: a hostile heap of cross-certificates ends here. */
const deepest = 6
const mostChecks = 200

export interface ChainQuestion {
  leaf: AgentCertificate
  /** Candidates for the certificates between; more than needed does no harm. */
  others: readonly AgentCertificate[]
  /** Self-signed certificates that are trusted. */
  anchors: readonly AgentCertificate[]
  /** Unix milliseconds. */
  at: number
  purpose: 'clientAuth' | 'serverAuth'
  /** The leaf may be past its end: a certificate of our own is asked about that only the server may still accept. */
  allowExpiredLeaf?: boolean
}

const timeFault = (certificate: AgentCertificate, at: number): string | null => {
  if (at < certificate.notBefore) {
    return `${describe(certificate)} is valid from ${isoTime(certificate.notBefore)}, and it is ${isoTime(at)}`
  }
  if (at > certificate.notAfter) {
    return `${describe(certificate)} ended at ${isoTime(certificate.notAfter)}, and it is ${isoTime(at)}`
  }
  return null
}

const ownFault = (certificate: AgentCertificate, question: ChainQuestion): string | null => {
  const stranger = certificate.critical.find((identifier) => !understood.includes(identifier))
  if (stranger !== undefined)
    return `${describe(certificate)} has a critical extension ${stranger} that is not known here`
  const wanted = oid[question.purpose]
  if (
    certificate.usages !== null &&
    !certificate.usages.some((usage) => usage === wanted || usage === oid.anyExtendedKeyUsage)
  ) {
    return `${describe(certificate)} is not for ${question.purpose}; its usages are ${certificate.usages.join(', ')}`
  }
  if (certificate === question.leaf && question.allowExpiredLeaf === true) return null
  return timeFault(certificate, question.at)
}

const issuerFault = (issuer: AgentCertificate, below: number): string | null => {
  if (!issuer.x509.ca) return `${describe(issuer)} signed a certificate and is no authority`
  if (issuer.pathLength !== null && below > issuer.pathLength) {
    return `${describe(issuer)} allows ${issuer.pathLength} authorities below it, and there are ${below}`
  }
  return null
}

/**
 * The time to judge certificates by when the true one is not known well: a signature that verifies proves that its notBefore is past.
 * Nothing else is given away: what had ended by then is still refused.
 */
export const newestStart = (certificates: readonly AgentCertificate[], at: number): number =>
  Math.max(at, ...certificates.map((certificate) => certificate.notBefore))

const signed = (issuer: AgentCertificate, subject: AgentCertificate): boolean =>
  subject.x509.checkIssued(issuer.x509) && subject.x509.verify(issuer.x509.publicKey)

/** Whether a certificate is self-signed by an authority, which alone can be a trust anchor here. */
export const isRoot = (certificate: AgentCertificate): boolean =>
  certificate.x509.ca && signed(certificate, certificate)

/**
 * The path from the leaf to a trust anchor (RFC 5280 §6.1 without policies and name constraints, which are refused when critical).
 * Throws AgentError `untrusted` with what stood in the way of the path that came furthest.
 */
export const verifyChain = (question: ChainQuestion): AgentCertificate[] => {
  let fault = `no authority that is trusted here signed ${describe(question.leaf)}; its issuer is ${question.leaf.issuerText}`
  let furthest = 0
  let checks = 0
  const note = (depth: number, text: string) => {
    if (depth < furthest) return
    furthest = depth
    fault = text
  }
  const search = (path: readonly AgentCertificate[]): AgentCertificate[] | null => {
    const last = path[path.length - 1] ?? question.leaf
    const own = ownFault(last, question)
    if (own !== null) {
      note(path.length, own)
      return null
    }
    if (question.anchors.includes(last)) return [...path]
    if (path.length >= deepest) return null
    const below = path.slice(1).filter((certificate) => certificate.subjectText !== certificate.issuerText).length
    for (const issuer of [...question.anchors, ...question.others]) {
      checks += 1
      if (checks > mostChecks) throw new AgentError('untrusted', `${fault}; given up after ${mostChecks} attempts`)
      if (path.includes(issuer) || !signed(issuer, last)) continue
      const broken = issuerFault(issuer, below)
      if (broken !== null) note(path.length, broken)
      const found = broken === null ? search([...path, issuer]) : null
      if (found !== null) return found
    }
    return null
  }
  const found = search([question.leaf])
  if (found === null) throw new AgentError('untrusted', fault)
  return found
}
