import { hash } from 'node:crypto'
import { EverleafError } from '../errors.ts'
import type { Instant, Serial } from '../model.ts'
import {
  boolean,
  contextConstructed,
  contextPrimitive,
  ia5Bytes,
  integer,
  namedBitString,
  objectIdentifier,
  octetString,
  sequence,
  time,
} from '../protocol/der.ts'
import type { GeneralNames } from '../protocol/general-names.ts'
import { encodeGeneralNames } from '../protocol/general-names.ts'
import { oid } from '../protocol/oid.ts'
import type { KeyUsage } from './extensions.ts'
import { encodeExtension, keyUsages } from './extensions.ts'
import { keyBits } from './key.ts'
import { serialToBytes } from './serial.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { algorithmIdentifier } from './signature.ts'

export interface CertificateExtensions {
  /** Present: CA:TRUE. */
  authority?: { pathLength: number | null }
  keyUsage: readonly KeyUsage[]
  extendedKeyUsage?: ReadonlyArray<'clientAuth' | 'serverAuth'>
  subjectAlternativeName?: GeneralNames
  /** URL of the CRL. */
  crlDistributionPoint?: string
  /** URL of the issuer's certificate. */
  caIssuers?: string
}

/** Everything that a certificate says. */
export interface CertificateContent {
  serial: Serial
  signatureAlgorithm: SignatureAlgorithm
  /** Name, DER. */
  issuer: Uint8Array
  /** Name, DER. */
  subject: Uint8Array
  /** Cut to whole seconds. */
  notBefore: Instant
  /** Cut to whole seconds; the last second of validity. */
  notAfter: Instant
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array
  /** Null for a self-signed root. */
  authorityKeyIdentifier: Uint8Array | null
  extensions: CertificateExtensions
}

/** RFC 5280 §4.2.1.2, method (1): the SHA-1 of the key's bits. It names the key and protects nothing. */
export const keyIdentifier = (spki: Uint8Array): Uint8Array => hash('sha1', keyBits(spki), 'buffer')

const uri = (url: string): Uint8Array => {
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(url) || url.length > 2048) {
    throw new EverleafError(
      'bad-input',
      `certificate: URL '${url.slice(0, 80)}' is not http(s) in visible ASCII of 2048 characters at most`,
    )
  }
  return contextPrimitive(6, ia5Bytes(url))
}

const basicConstraints = (authority: CertificateExtensions['authority']): Uint8Array => {
  if (authority === undefined) return sequence()
  return authority.pathLength === null
    ? sequence(boolean(true))
    : sequence(boolean(true), integer(authority.pathLength))
}

/** SEQUENCE of no elements, as a Name is when it is empty. */
const isEmpty = (name: Uint8Array): boolean => name.length === 2

const encodeExtensions = ({ extensions, spki, subject, authorityKeyIdentifier }: CertificateContent): Uint8Array => {
  const { authority, keyUsage, extendedKeyUsage = [], subjectAlternativeName: names } = extensions
  const { crlDistributionPoint, caIssuers } = extensions
  const list = [encodeExtension(oid.subjectKeyIdentifier, false, octetString(keyIdentifier(spki)))]
  const add = (identifier: string, critical: boolean, value: Uint8Array): void => {
    list.push(encodeExtension(identifier, critical, value))
  }
  if (authorityKeyIdentifier !== null) {
    add(oid.authorityKeyIdentifier, false, sequence(contextPrimitive(0, authorityKeyIdentifier)))
  }
  add(oid.basicConstraints, true, basicConstraints(authority))
  if (keyUsage.length > 0) add(oid.keyUsage, true, namedBitString(keyUsage.map((usage) => keyUsages.indexOf(usage))))
  if (extendedKeyUsage.length > 0) {
    add(oid.extKeyUsage, false, sequence(...extendedKeyUsage.map((usage) => objectIdentifier(oid[usage]))))
  }
  if (names !== undefined && names.dns.length + names.uri.length + names.ip.length > 0) {
    add(oid.subjectAltName, isEmpty(subject), encodeGeneralNames(names))
  }
  if (crlDistributionPoint !== undefined) {
    const point = sequence(contextConstructed(0, contextConstructed(0, uri(crlDistributionPoint))))
    add(oid.crlDistributionPoints, false, sequence(point))
  }
  if (caIssuers !== undefined) {
    add(oid.authorityInfoAccess, false, sequence(sequence(objectIdentifier(oid.caIssuers), uri(caIssuers))))
  }
  return sequence(...list)
}

/** TBSCertificate, version 3 (RFC 5280 §4.1.2). It writes what it is told; whether that is wise is the linter's to say. */
export const certificateToBeSigned = (content: CertificateContent): Uint8Array =>
  sequence(
    contextConstructed(0, integer(2)),
    integer(serialToBytes(content.serial)),
    algorithmIdentifier(content.signatureAlgorithm),
    content.issuer,
    sequence(time(content.notBefore), time(content.notAfter)),
    content.subject,
    content.spki,
    contextConstructed(3, encodeExtensions(content)),
  )
