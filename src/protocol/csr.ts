import {
  bitString,
  boolean,
  contextConstructed,
  integer,
  isPrintable,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  set,
  sortedForSet,
  utf8String,
} from './der.ts'
import type { GeneralNames } from './general-names.ts'
import { encodeGeneralNames } from './general-names.ts'
import { oid } from './oid.ts'

export interface CsrContent {
  /** Name, DER. */
  subject: Uint8Array
  /** SubjectPublicKeyInfo, DER, of the key that `sign` signs with. */
  spki: Uint8Array
  san?: GeneralNames
  /** In EST the channel binding, base64 (RFC 7030 §3.5). */
  challengePassword?: string
  signatureAlgorithm: 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-sha256'
  /** Signs the CertificationRequestInfo and returns the signature as X.509 carries it: for ECDSA the DER of r and s, not r‖s. */
  sign: (toBeSigned: Uint8Array) => Uint8Array | Promise<Uint8Array>
}

const algorithms: Record<CsrContent['signatureAlgorithm'], Uint8Array> = {
  'ecdsa-sha256': sequence(objectIdentifier(oid.ecdsaWithSHA256)),
  'ecdsa-sha384': sequence(objectIdentifier(oid.ecdsaWithSHA384)),
  'rsa-sha256': sequence(objectIdentifier(oid.sha256WithRSAEncryption), nullValue()),
}

const attribute = (identifier: string, value: Uint8Array): Uint8Array =>
  sequence(objectIdentifier(identifier), set(value))

/** An extensionRequest with the SAN, critical where the subject is empty (RFC 5280 §4.2.1.6). */
const extensionRequest = (san: GeneralNames, subject: Uint8Array): Uint8Array => {
  const critical = subject.length === 2 ? [boolean(true)] : []
  const extension = sequence(objectIdentifier(oid.subjectAltName), ...critical, octetString(encodeGeneralNames(san)))
  return attribute(oid.extensionRequest, sequence(extension))
}

/** CertificationRequest, DER (RFC 2986 §4). */
export const buildCsr = async (content: CsrContent): Promise<Uint8Array> => {
  const { subject, spki, san, challengePassword, signatureAlgorithm, sign } = content
  const attributes: Uint8Array[] = []
  if (san !== undefined && san.dns.length + san.uri.length + san.ip.length > 0) {
    attributes.push(extensionRequest(san, subject))
  }
  if (challengePassword !== undefined) {
    const text = isPrintable(challengePassword) ? printableString(challengePassword) : utf8String(challengePassword)
    attributes.push(attribute(oid.challengePassword, text))
  }
  const toBeSigned = sequence(integer(0), subject, spki, contextConstructed(0, ...sortedForSet(attributes)))
  return sequence(toBeSigned, algorithms[signatureAlgorithm], bitString(await sign(toBeSigned)))
}
