import { X509Certificate } from 'node:crypto'
import {
  type DerNode,
  readBoolean,
  readDer,
  readFields,
  readObjectIdentifier,
  readOctetString,
  readSmallInteger,
  readTime,
  tags,
} from '../protocol/der.ts'
import { toHex } from '../protocol/hex.ts'
import { nameText } from '../protocol/name.ts'
import { oid } from '../protocol/oid.ts'
import { AgentError, reasonOf } from './error.ts'

/** What the agent needs to know of a certificate: node:crypto for keys and signatures, DER for what it hides. */
export interface AgentCertificate {
  der: Uint8Array
  x509: X509Certificate
  /** SHA-256 of the DER, lower-case hexadecimal. */
  fingerprint: string
  serial: string
  /** Name, DER. */
  subject: Uint8Array
  subjectText: string
  issuerText: string
  /** GeneralNames, DER; null: no subjectAltName. */
  alternativeNames: Uint8Array | null
  notBefore: number
  notAfter: number
  /** Intermediates allowed below it (RFC 5280 §4.2.1.9); null: unlimited. */
  pathLength: number | null
  /** Extended key usages as OIDs; null: any. */
  usages: readonly string[] | null
  /** OIDs of critical extensions. */
  critical: readonly string[]
}

interface Extension {
  identifier: string
  critical: boolean
  value: Uint8Array
}

const readExtension = (node: DerNode): Extension => {
  const fields = readFields(node, 'extension')
  const identifier = readObjectIdentifier(fields.next('extension type'))
  const critical = fields.optional(tags.boolean)
  const value = readOctetString(fields.next('extension value'))
  fields.end()
  return { identifier, critical: critical !== null && readBoolean(critical), value }
}

const contextZero = 0xa0
const contextThree = 0xa3

const readToBeSigned = (der: Uint8Array) => {
  const tbs = readFields(readFields(readDer(der), 'certificate').next('tbsCertificate'), 'tbsCertificate')
  tbs.optional(contextZero)
  const serial = toHex(tbs.next('serial number', tags.integer).content).replace(/^00(?=..)/, '')
  tbs.next('signature algorithm')
  const issuer = tbs.next('issuer').bytes
  const validity = readFields(tbs.next('validity'), 'validity')
  const notBefore = readTime(validity.next('notBefore'))
  const notAfter = readTime(validity.next('notAfter'))
  const subject = tbs.next('subject').bytes
  tbs.next('subject public key')
  tbs.optional(0x81)
  tbs.optional(0x82)
  const list = tbs.optional(contextThree)
  const extensions = list === null ? [] : (list.children[0]?.children ?? []).map(readExtension)
  return { serial, issuer, subject, notBefore, notAfter, extensions }
}

const readPathLength = (value: Uint8Array | undefined): number | null => {
  if (value === undefined) return null
  const fields = readFields(readDer(value), 'basicConstraints')
  fields.optional(tags.boolean)
  const limit = fields.optional(tags.integer)
  return limit === null ? null : readSmallInteger(limit, 'path length')
}

const read = (x509: X509Certificate, der: Uint8Array, fingerprint: string): AgentCertificate => {
  const { serial, issuer, subject, notBefore, notAfter, extensions } = readToBeSigned(der)
  const extensionValue = (identifier: string) =>
    extensions.find((extension) => extension.identifier === identifier)?.value
  return {
    der,
    x509,
    fingerprint,
    serial,
    subject,
    subjectText: nameText(subject),
    issuerText: nameText(issuer),
    alternativeNames: extensionValue(oid.subjectAltName) ?? null,
    notBefore,
    notAfter,
    pathLength: readPathLength(extensionValue(oid.basicConstraints)),
    usages: x509.keyUsage ?? null,
    critical: extensions.filter((extension) => extension.critical).map((extension) => extension.identifier),
  }
}

/** The same few certificates are read at every step; reading them once keeps the code cold, which saves memory. */
const recent = new Map<string, AgentCertificate>()
const mostRecent = 16

/** Throws AgentError `answer` on bytes that are no certificate. `where` says where they came from. */
export const parseCertificate = (der: Uint8Array, where: string): AgentCertificate => {
  try {
    const x509 = new X509Certificate(der)
    const fingerprint = x509.fingerprint256.replaceAll(':', '').toLowerCase()
    const certificate = recent.get(fingerprint) ?? read(x509, der, fingerprint)
    recent.delete(fingerprint)
    recent.set(fingerprint, certificate)
    for (const oldest of recent.keys()) if (recent.size > mostRecent) recent.delete(oldest)
    return certificate
  } catch (error) {
    throw new AgentError('answer', `${where}: not a certificate: ${reasonOf(error)}`, { cause: error })
  }
}

export const toPem = (certificates: readonly AgentCertificate[]): string =>
  certificates.map((certificate) => certificate.x509.toString()).join('')

/** How a certificate is named in messages. */
export const describe = (certificate: AgentCertificate): string =>
  `${certificate.subjectText || '(no subject)'} (serial ${certificate.serial})`
