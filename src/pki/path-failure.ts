import type { ParsedCertificate } from './certificate.ts'
import { nameOf } from './name-of.ts'

/** What path validation looks at (RFC 5280 §6.1, §6.3). */
export type PathCheck =
  | 'untrusted' // the chain does not reach a trust anchor
  | 'nameChaining' // the issuer's key is known under another name
  | 'signature'
  | 'depth'
  | 'unknownCriticalExtension'
  | 'basicConstraints'
  | 'pathLength'
  | 'keyUsage'
  | 'extendedKeyUsage'
  | 'validity'
  | 'revoked'
  | 'crlMissing'
  | 'crlStale'

/** What a check wanted of a certificate and what it found, as text for people. */
export interface Finding {
  expected: string
  actual: string
}

export interface PathFailure extends Finding {
  ok: false
  check: PathCheck
  /** Subject of the certificate that failed. */
  certificate: string
  message: string
}

export const pathFailure = (check: PathCheck, certificate: ParsedCertificate, finding: Finding): PathFailure => ({
  ok: false,
  check,
  certificate: nameOf(certificate),
  ...finding,
  message: `certificate "${nameOf(certificate)}" fails ${check}: expected ${finding.expected}, found ${finding.actual}`,
})
