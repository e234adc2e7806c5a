import { EverleafError } from '../errors.ts'
import { ProtocolError } from '../protocol/error.ts'
import { toHex } from '../protocol/hex.ts'
import { decodePem, encodePem } from '../protocol/pem.ts'
import { readingInput } from './bad-input.ts'
import type { ParsedCertificate } from './certificate.ts'
import { parseCertificate } from './certificate.ts'
import type { ParsedCrl } from './crl.ts'
import { parseCrl } from './crl.ts'
import { nameOf } from './name-of.ts'
import { sameBytes } from './same-bytes.ts'

/*
 * The one form of a bundle that every gateway takes: LF, no blank line, text outside certificates only after `#` and
 * without a dash (ALB, CloudFront), subjects unique (API Gateway), every chain up to its root.
 */

/** What of a gateway's limits concerns the truststore; null: no limit known. */
export interface TruststoreLimits {
  truststoreCertificates: number | null
  truststoreBytes: number | null
}

/** More than any gateway takes; what is larger is no truststore. */
const maximumLength = 16 * 1024 * 1024

/**
 * The bundle in the order given, each certificate under a comment with its subject; `comments` come first. `refused`
 * when it is empty, when two subjects are the same, or when a certificate's issuer is not in it.
 */
export function encodeTruststore(certificates: readonly ParsedCertificate[], comments: readonly string[] = []): string {
  const problem = problemOf(certificates)
  if (problem !== null) throw new EverleafError('refused', `truststore: ${problem}`)
  const blocks = certificates.map(
    (certificate) => comment(nameOf(certificate)) + encodePem('CERTIFICATE', certificate.der),
  )
  return comments.map(comment).join('') + blocks.join('')
}

/** One line of printable ASCII without a dash, whatever a subject may hold. */
const comment = (text: string): string => `# ${text.replaceAll('-', '_').replace(/[^ -~]/gu, '?')}\n`

function problemOf(certificates: readonly ParsedCertificate[]): string | null {
  if (certificates.length === 0) return 'no certificates, nobody could connect'
  const subjects = new Set<string>()
  for (const certificate of certificates) {
    const subject = toHex(certificate.subject)
    if (subjects.has(subject)) return `two certificates of "${nameOf(certificate)}", each subject must be unique`
    subjects.add(subject)
  }
  const orphan = certificates.find(({ issuer }) => !certificates.some(({ subject }) => sameBytes(issuer, subject)))
  if (orphan === undefined) return null
  return `"${nameOf(orphan)}" is there without its issuer "${orphan.issuerText}", the chain must be complete`
}

/** Strict: the canonical form and nothing else. `bad-input` with the line. */
export function parseTruststore(pem: string): ParsedCertificate[] {
  const certificates = readingInput('truststore', () => {
    refuseOtherForm(pem)
    return decodePem(pem, 'CERTIFICATE').map(parseCertificate)
  })
  const problem = problemOf(certificates)
  if (problem !== null) throw new EverleafError('bad-input', `truststore: ${problem}`)
  return certificates
}

/** What `decodePem` lets pass and a gateway would not. */
function refuseOtherForm(pem: string): void {
  if (pem.length > maximumLength)
    throw new ProtocolError(`${pem.length} characters, at most ${maximumLength} are allowed`)
  if (!pem.endsWith('\n')) throw new ProtocolError('the last line has no end, it may be cut off')
  let inside = false
  for (const [index, line] of pem.slice(0, -1).split('\n').entries()) {
    const where = `line ${index + 1}`
    if (line.trim() === '') throw new ProtocolError(`${where} is blank`)
    if (/[^ -~]/u.test(line))
      throw new ProtocolError(`${where} has a character that is not printable ASCII, or ends in CR`)
    if (line.startsWith('-----BEGIN')) inside = true
    else if (line.startsWith('-----END')) inside = false
    else if (!inside && (!line.startsWith('#') || line.includes('-')))
      throw new ProtocolError(`${where} is neither in a certificate nor a comment, which begins with # and has no dash`)
  }
}

/** How the bundle exceeds what a gateway takes; empty: not at all. */
export function checkTruststoreLimits(
  pem: string,
  certificates: readonly ParsedCertificate[],
  { truststoreCertificates, truststoreBytes }: TruststoreLimits,
): string[] {
  const bytes = new TextEncoder().encode(pem).length
  const violations: string[] = []
  if (truststoreCertificates !== null && certificates.length > truststoreCertificates)
    violations.push(`${certificates.length} certificates, the gateway takes ${truststoreCertificates}`)
  if (truststoreBytes !== null && bytes > truststoreBytes)
    violations.push(`${bytes} bytes, the gateway takes ${truststoreBytes}`)
  return violations
}

/** CRLs (DER) in one PEM file without blank lines. `refused` when there is none: gateways fail to load an empty file. */
export function encodeCrlBundle(crls: readonly Uint8Array[]): string {
  if (crls.length === 0)
    throw new EverleafError('refused', 'CRL bundle: no CRL, each authority needs one, an empty one too')
  return crls.map((der) => encodePem('X509 CRL', der)).join('')
}

/** The CRLs of a bundle; `bad-input` when one is cut off or unreadable. */
export const parseCrlBundle = (pem: string): ParsedCrl[] =>
  readingInput('CRL bundle', () => decodePem(pem, 'X509 CRL').map(parseCrl))
