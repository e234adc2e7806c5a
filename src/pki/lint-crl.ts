import type { ParsedCertificate } from './certificate.ts'
import type { CrlFields } from './crl.ts'
import { findDuplicate } from './crl-scan.ts'
import { algorithmProblem, authorityKeyProblem, issuerNameProblem } from './lint-issuer.ts'
import type { Rule } from './lint-view.ts'

export interface CrlView {
  crl: CrlFields
  signer: ParsedCertificate
  /** Of the last CRL of the same shard; null: this is the first. */
  previousNumber: bigint | null
}

const issuerName: Rule<CrlView> = ({ crl, signer }) => issuerNameProblem(crl, signer)

const algorithm: Rule<CrlView> = ({ crl, signer }) => algorithmProblem(crl, signer)

const authorityKeyIdentifier: Rule<CrlView> = ({ crl, signer }) => authorityKeyProblem(crl, signer)

const issuerMaySign: Rule<CrlView> = ({ signer: { authority, keyUsage, subjectText } }) => {
  if (authority === null) return `"${subjectText}" is CA:FALSE`
  return keyUsage === null || keyUsage.includes('cRLSign') ? null : `"${subjectText}" has no cRLSign`
}

const number: Rule<CrlView> = ({ crl }) => (crl.number > 0n ? null : `${crl.number}, it must be positive`)

const numberGrows: Rule<CrlView> = ({ crl, previousNumber }) =>
  previousNumber === null || crl.number > previousNumber
    ? null
    : `${crl.number}, it must be larger than the last one's ${previousNumber}`

const criticalExtension: Rule<CrlView> = ({ crl: { unknownCritical } }) =>
  unknownCritical.length === 0 ? null : `${unknownCritical.join(', ')}, gateways refuse CRLs with critical extensions`

const serialOnce: Rule<CrlView> = ({ crl: { ascending, entryBytes, entryCount } }) => {
  const serial = ascending ? null : findDuplicate(entryBytes, entryCount)
  return serial === null ? null : `${serial} occurs more than once`
}

export const crlRules: Readonly<Record<string, Rule<CrlView>>> = {
  'issuer name': issuerName,
  'signature algorithm': algorithm,
  'authority key identifier': authorityKeyIdentifier,
  'issuer may sign': issuerMaySign,
  'CRL number': number,
  'CRL number grows': numberGrows,
  'critical extension': criticalExtension,
  'serial once': serialOnce,
}
