import { EverleafError } from '../errors.ts'
import type { Instant, Serial } from '../model.ts'
import type { DerNode, Fields } from '../protocol/der.ts'
import {
  expectTag,
  readDer,
  readFields,
  readIntegerBytes,
  readOctetBitString,
  readOnly,
  readSmallInteger,
  readTime,
  tags,
} from '../protocol/der.ts'
import type { ReadGeneralNames } from '../protocol/general-names.ts'
import { readGeneralNames } from '../protocol/general-names.ts'
import { nameText } from '../protocol/name.ts'
import { oid } from '../protocol/oid.ts'
import { readingInput } from './bad-input.ts'
import { sha256Hex } from './digest.ts'
import type { Extension, KeyUsage } from './extensions.ts'
import {
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCrlDistributionPoints,
  readExtendedKeyUsage,
  readExtensions,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from './extensions.ts'
import { serialFromInteger } from './serial.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { readAlgorithm } from './signature.ts'

/** A certificate of anyone, taken apart. All bytes are views into `der`. Nothing in it was verified. */
export interface ParsedCertificate {
  der: Uint8Array
  tbs: Uint8Array
  version: 1 | 2 | 3
  serial: Serial
  /** Name, DER. */
  issuer: Uint8Array
  /** Name, DER. */
  subject: Uint8Array
  /** RFC 4514 text, for people. */
  issuerText: string
  subjectText: string
  notBefore: Instant
  notAfter: Instant
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array
  /** Lower-case hexadecimal. */
  spkiSha256: string
  /** SHA-256 of `der`, lower-case hexadecimal. */
  fingerprint: string
  /** Null: one that we do not take. */
  signatureAlgorithm: SignatureAlgorithm | null
  signature: Uint8Array
  /** Null: CA:FALSE, or no basicConstraints. */
  authority: { pathLength: number | null } | null
  /** Null: not restricted. */
  keyUsage: readonly KeyUsage[] | null
  /** Names such as `clientAuth`, dotted decimal for others. Null: not restricted. */
  extendedKeyUsage: readonly string[] | null
  /** `der`: GeneralNames. */
  subjectAlternativeName: { der: Uint8Array; names: ReadGeneralNames } | null
  authorityKeyIdentifier: Uint8Array | null
  subjectKeyIdentifier: Uint8Array | null
  /** URIs. */
  crlDistributionPoints: string[]
  /** Critical extensions that were not understood; any makes the certificate unusable (RFC 5280 §4.2). */
  unknownCritical: string[]
}

const maximumOctets = 65_536

const understood = new Set<string>([
  oid.subjectKeyIdentifier,
  oid.keyUsage,
  oid.subjectAltName,
  oid.basicConstraints,
  oid.crlDistributionPoints,
  oid.authorityKeyIdentifier,
  oid.extKeyUsage,
])

const readVersion = (fields: Fields): 1 | 2 | 3 => {
  const tagged = fields.optional(0xa0)
  if (tagged === null) return 1
  const version = readSmallInteger(readOnly(tagged, 'version'), 'version')
  if (version === 1) return 2
  if (version === 2) return 3
  throw new EverleafError('bad-input', `certificate: version field ${version}; expected 2, which means v3`)
}

const equalBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && left.every((octet, index) => octet === right[index])

/** The parts of the signed form, the algorithm being the same inside and outside (RFC 5280 §4.1.1.2). */
const openSigned = (der: Uint8Array): { tbs: DerNode; algorithm: DerNode; signature: Uint8Array } => {
  const fields = readFields(readDer(der, { bytes: maximumOctets }), 'certificate')
  const tbs = fields.next('tbsCertificate', tags.sequence)
  const algorithm = fields.next('signatureAlgorithm', tags.sequence)
  const signature = readOctetBitString(fields.next('signatureValue'), 'signatureValue')
  fields.end()
  return { tbs, algorithm, signature }
}

const readValidity = (node: DerNode): { notBefore: Instant; notAfter: Instant } => {
  const fields = readFields(node, 'validity')
  const notBefore = readTime(fields.next('notBefore'), 'notBefore')
  const notAfter = readTime(fields.next('notAfter'), 'notAfter')
  fields.end()
  return { notBefore, notAfter }
}

/** The extensions; the unique identifiers of version 2 before them are passed over. */
const readTail = (fields: Fields, version: 1 | 2 | 3): Map<string, Extension> => {
  const uniqueIdentifiers = [fields.optional(0x81), fields.optional(0x82)]
  const tagged = fields.optional(0xa3)
  fields.end()
  if (version === 1 && uniqueIdentifiers.some((node) => node !== null)) {
    throw new EverleafError('bad-input', 'certificate: unique identifiers in version 1')
  }
  if (tagged === null) return new Map()
  if (version !== 3)
    throw new EverleafError('bad-input', `certificate: extensions in version ${version}, expected version 3`)
  return readExtensions(expectTag(readOnly(tagged, 'extensions'), tags.sequence, 'extensions'))
}

const describeExtensions = (extensions: ReadonlyMap<string, Extension>) => {
  const read = <T>(identifier: string, reader: (value: Uint8Array) => T): T | null => {
    const extension = extensions.get(identifier)
    return extension === undefined ? null : reader(extension.value)
  }
  return {
    authority: read(oid.basicConstraints, readBasicConstraints),
    keyUsage: read(oid.keyUsage, readKeyUsage),
    extendedKeyUsage: read(oid.extKeyUsage, readExtendedKeyUsage),
    subjectAlternativeName: read(oid.subjectAltName, (der) => ({ der, names: readGeneralNames(der) })),
    authorityKeyIdentifier: read(oid.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    subjectKeyIdentifier: read(oid.subjectKeyIdentifier, readSubjectKeyIdentifier),
    crlDistributionPoints: read(oid.crlDistributionPoints, readCrlDistributionPoints) ?? [],
    unknownCritical: [...extensions.values()]
      .filter(({ identifier, critical }) => critical && !understood.has(identifier))
      .map(({ identifier }) => identifier),
  }
}

const parse = (der: Uint8Array): ParsedCertificate => {
  const { tbs, algorithm, signature } = openSigned(der)
  const fields = readFields(tbs, 'tbsCertificate')
  const version = readVersion(fields)
  const serial = serialFromInteger(readIntegerBytes(fields.next('serialNumber'), 'serialNumber'))
  const inner = fields.next('signature', tags.sequence)
  const issuer = fields.next('issuer', tags.sequence).bytes
  const validity = readValidity(fields.next('validity'))
  const subject = fields.next('subject', tags.sequence).bytes
  const spki = fields.next('subjectPublicKeyInfo', tags.sequence).bytes
  const extensions = readTail(fields, version)
  if (!equalBytes(inner.bytes, algorithm.bytes)) {
    throw new EverleafError(
      'bad-input',
      'certificate: the signature algorithm inside differs from the one outside (RFC 5280 §4.1.1.2)',
    )
  }
  return {
    der,
    tbs: tbs.bytes,
    version,
    serial,
    issuer,
    subject,
    issuerText: nameText(issuer),
    subjectText: nameText(subject),
    ...validity,
    spki,
    spkiSha256: sha256Hex(spki),
    fingerprint: sha256Hex(der),
    signatureAlgorithm: readAlgorithm(algorithm),
    signature,
    ...describeExtensions(extensions),
  }
}

/** Reads one certificate of 64 KiB at most, strictly DER. `bad-input` names what is wrong and where. */
export const parseCertificate = (der: Uint8Array): ParsedCertificate => readingInput('certificate', () => parse(der))
