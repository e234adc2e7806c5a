import { toHex } from '../protocol/hex.ts'
import type { ParsedCertificate } from './certificate.ts'
import type { ContentView, Rule } from './lint-view.ts'
import { sameBytes } from './same-bytes.ts'
import { algorithmForKey } from './signature.ts'

/** What a certificate and a CRL have in common with regard to who signs them. */
interface Signed {
  issuer: Uint8Array
  issuerText: string
  signatureAlgorithm: string | null
  authorityKeyIdentifier: Uint8Array | null
}

export const issuerNameProblem = (signed: Signed, signer: ParsedCertificate): string | null =>
  sameBytes(signed.issuer, signer.subject)
    ? null
    : `"${signed.issuerText}", the certificate that signs is of "${signer.subjectText}"`

export function algorithmProblem({ signatureAlgorithm }: Signed, signer: ParsedCertificate): string | null {
  const fitting = algorithmForKey(signer.spki)
  if (signatureAlgorithm === null) return `one that is unknown or weak, the key needs one such as ${fitting}`
  const family = (algorithm: string) => algorithm.slice(0, algorithm.indexOf('-'))
  return family(signatureAlgorithm) === family(fitting)
    ? null
    : `${signatureAlgorithm}, the key that signs needs one such as ${fitting}`
}

export function authorityKeyProblem({ authorityKeyIdentifier }: Signed, signer: ParsedCertificate): string | null {
  const wanted = signer.subjectKeyIdentifier
  if (authorityKeyIdentifier === null) return 'it is missing'
  if (wanted === null) return 'the certificate that signs has no subject key identifier'
  return sameBytes(authorityKeyIdentifier, wanted)
    ? null
    : `${toHex(authorityKeyIdentifier)}, the key that signs is ${toHex(wanted)}`
}

const issuerName: Rule<ContentView> = ({ certificate, signer }) => issuerNameProblem(certificate, signer)

const algorithm: Rule<ContentView> = ({ certificate, signer }) => algorithmProblem(certificate, signer)

/** A root may leave it out (RFC 5280 §4.2.1.1). */
const authorityKeyIdentifier: Rule<ContentView> = ({ certificate, signer, kind }) =>
  kind === 'root' && certificate.authorityKeyIdentifier === null ? null : authorityKeyProblem(certificate, signer)

const issuerMaySign: Rule<ContentView> = ({ signer: { authority, keyUsage, subjectText } }) => {
  if (authority === null) return `"${subjectText}" is CA:FALSE`
  return keyUsage === null || keyUsage.includes('keyCertSign') ? null : `"${subjectText}" has no keyCertSign`
}

const pathLength: Rule<ContentView> = ({ certificate, signer, kind }) => {
  const allowed = signer.authority?.pathLength ?? null
  const wanted = certificate.authority?.pathLength ?? null
  if (kind !== 'intermediate' || allowed === null) return null
  if (allowed === 0) return `"${signer.subjectText}" has path length 0 and may issue leaves only`
  return wanted !== null && wanted < allowed
    ? null
    : `${wanted ?? 'none'}, it must be less than the issuer's ${allowed}`
}

const validityWithinIssuer: Rule<ContentView> = ({ certificate, signer }) => {
  const period = ({ notBefore, notAfter }: ParsedCertificate) =>
    `${new Date(notBefore).toISOString()} to ${new Date(notAfter).toISOString()}`
  return certificate.notBefore >= signer.notBefore && certificate.notAfter <= signer.notAfter
    ? null
    : `${period(certificate)} is not within the issuer's ${period(signer)}`
}

const keyIsNotIssuers: Rule<ContentView> = ({ certificate, signer, kind }) =>
  kind !== 'root' && sameBytes(certificate.spki, signer.spki) ? "the subject's key is the issuer's own" : null

export const issuerRules: Readonly<Record<string, Rule<ContentView>>> = {
  'issuer name': issuerName,
  'signature algorithm': algorithm,
  'authority key identifier': authorityKeyIdentifier,
  'issuer may sign': issuerMaySign,
  'path length': pathLength,
  'validity within issuer': validityWithinIssuer,
  "key is not the issuer's": keyIsNotIssuers,
}
