import { EverleafError } from '../errors.ts'
import type { KeyType } from '../model.ts'
import type { DerNode } from '../protocol/der.ts'
import {
  expectTag,
  readDer,
  readFields,
  readObjectIdentifier,
  readOctetBitString,
  readSmallInteger,
  readString,
  tags,
} from '../protocol/der.ts'
import { ProtocolError } from '../protocol/error.ts'
import { maximumCsrOctets } from '../protocol/est.ts'
import type { ReadGeneralNames } from '../protocol/general-names.ts'
import { readGeneralNames } from '../protocol/general-names.ts'
import { nameText } from '../protocol/name.ts'
import { oid } from '../protocol/oid.ts'
import { readingInput } from './bad-input.ts'
import { sha256Hex } from './digest.ts'
import { readExtensions } from './extensions.ts'
import { inspectPublicKey } from './key.ts'
import { describeAlgorithm, readAlgorithm, verifySignature } from './signature.ts'

/** A certification request whose sender holds the private key. What it asks for is a wish: nothing of it is copied unseen. */
export interface ParsedCsr {
  der: Uint8Array
  /** Name, DER. */
  subject: Uint8Array
  /** RFC 4514 text, for people. */
  subjectText: string
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array
  /** Lower-case hexadecimal. */
  spkiSha256: string
  keyType: KeyType
  /** `der`: GeneralNames. */
  san: { der: Uint8Array; names: ReadGeneralNames } | null
  challengePassword: string | null
}

interface Wishes {
  san: Uint8Array | null
  challengePassword: string | null
}

const maximumAttributes = 32
const maximumPassword = 1024

/** OpenSSL reads Microsoft's attribute like the standard's, so a SAN in either counts. */
const extensionRequests = new Set<string>([oid.extensionRequest, oid.microsoftExtensionRequest])

interface Attribute {
  identifier: string
  values: readonly DerNode[]
}

const readAttribute = (node: DerNode): Attribute => {
  const fields = readFields(node, 'attribute')
  const identifier = readObjectIdentifier(fields.next('attribute type'), 'attribute type')
  const values = expectTag(fields.next('attribute values'), tags.set, 'attribute values').children
  fields.end()
  return { identifier, values }
}

/** Both attributes that we read are single-valued (RFC 2985 §5.4). */
const onlyValue = ({ identifier, values }: Attribute): DerNode => {
  const [value] = values
  if (value !== undefined && values.length === 1) return value
  throw new ProtocolError(`attribute ${identifier}: ${values.length} values, expected one`)
}

/** Every extensionRequest is looked at, since a second one is where a SAN hides from servers that read the first only. */
const readRequestedSan = (requests: readonly Attribute[]): Uint8Array | null => {
  const requested = new Map<string, Uint8Array>()
  for (const request of requests) {
    const extensions = readExtensions(expectTag(onlyValue(request), tags.sequence, 'extensionRequest'))
    for (const { identifier, value } of extensions.values()) {
      if (requested.has(identifier)) {
        throw new ProtocolError(`extension ${identifier}: requested twice, in two attributes`)
      }
      requested.set(identifier, value)
    }
  }
  return requested.get(oid.subjectAltName) ?? null
}

const readPassword = (passwords: readonly Attribute[]): string | null => {
  const [password] = passwords
  if (password === undefined) return null
  if (passwords.length > 1) throw new ProtocolError('challengePassword: it is there twice')
  const value = onlyValue(password)
  if (value.length > maximumPassword) {
    throw new ProtocolError(`challengePassword: ${value.length} octets; ${maximumPassword} at most`)
  }
  return readString(value, 'challengePassword')
}

const readAttributes = (nodes: readonly DerNode[]): Wishes => {
  if (nodes.length > maximumAttributes) {
    throw new ProtocolError(`attributes: ${nodes.length}; ${maximumAttributes} at most`)
  }
  const attributes = nodes.map(readAttribute)
  return {
    san: readRequestedSan(attributes.filter(({ identifier }) => extensionRequests.has(identifier))),
    challengePassword: readPassword(attributes.filter(({ identifier }) => identifier === oid.challengePassword)),
  }
}

/** CertificationRequestInfo (RFC 2986 §4.1). Absent attributes are taken for none, as some clients leave them out. */
const readRequestInfo = (node: DerNode) => {
  const fields = readFields(node, 'CertificationRequestInfo')
  const version = readSmallInteger(fields.next('version'), 'version')
  if (version !== 0) throw new ProtocolError(`version ${version}, expected 0`)
  const subject = fields.next('subject', tags.sequence).bytes
  const spki = fields.next('subjectPublicKeyInfo', tags.sequence).bytes
  const attributes = fields.optional(0xa0)
  fields.end()
  return { subject, spki, ...readAttributes(attributes?.children ?? []) }
}

const parse = (der: Uint8Array): ParsedCsr => {
  const fields = readFields(readDer(der, { bytes: maximumCsrOctets }), 'CertificationRequest')
  const info = fields.next('certificationRequestInfo', tags.sequence)
  const algorithmNode = fields.next('signatureAlgorithm', tags.sequence)
  const signature = readOctetBitString(fields.next('signature'), 'signature')
  fields.end()

  const { subject, spki, san, challengePassword } = readRequestInfo(info)
  const { type } = inspectPublicKey(spki)
  const algorithm = readAlgorithm(algorithmNode)
  if (algorithm === null) {
    throw new EverleafError(
      'bad-input',
      `CSR: signed by ${describeAlgorithm(algorithmNode)}; accepted: RSA with SHA-256, SHA-384 or SHA-512, ECDSA with SHA-256 or SHA-384`,
    )
  }
  const request: ParsedCsr = {
    der,
    subject,
    subjectText: nameText(subject),
    spki,
    spkiSha256: sha256Hex(spki),
    keyType: type,
    san: san === null ? null : { der: san, names: readGeneralNames(san) },
    challengePassword,
  }
  if (!verifySignature({ spki, algorithm, data: info.bytes, signature })) {
    throw new EverleafError(
      'bad-input',
      `CSR: the ${algorithm} signature is not one of the ${type} key in it, so its sender was not shown to hold that key`,
    )
  }
  return request
}

/** Reads a PKCS #10 request of 64 KiB at most (RFC 2986), strictly DER, and verifies that its sender holds the key. `bad-input` says what is wrong. */
export const parseCsr = (der: Uint8Array): ParsedCsr => readingInput('CSR', () => parse(der))
