import type { DerNode } from '../protocol/der.ts'
import {
  boolean,
  expectTag,
  objectIdentifier,
  octetString,
  readBitString,
  readBoolean,
  readDer,
  readFields,
  readObjectIdentifier,
  readOctetString,
  readOnly,
  readSmallInteger,
  sequence,
  tags,
} from '../protocol/der.ts'
import { ProtocolError } from '../protocol/error.ts'
import { collectGeneralNames } from '../protocol/general-names.ts'
import { oid } from '../protocol/oid.ts'

export interface Extension {
  /** Dotted decimal. */
  identifier: string
  critical: boolean
  /** The DER inside the OCTET STRING. */
  value: Uint8Array
}

/** Extension (RFC 5280 §4.2). */
export const encodeExtension = (identifier: string, critical: boolean, value: Uint8Array): Uint8Array =>
  critical
    ? sequence(objectIdentifier(identifier), boolean(true), octetString(value))
    : sequence(objectIdentifier(identifier), octetString(value))

const maximumExtensions = 64

/**
 * Extensions by identifier, in their order; one that comes twice is refused (RFC 5280 §4.2). A `critical FALSE` that is written out is taken,
 * although DER leaves defaults out: authorities of others do write it, and it cannot be read in two ways.
 */
export const readExtensions = (node: DerNode): Map<string, Extension> => {
  const { children } = node
  if (children.length === 0 || children.length > maximumExtensions) {
    throw new ProtocolError(`Extensions: ${children.length}; 1 to ${maximumExtensions} allowed`)
  }
  const extensions = new Map<string, Extension>()
  for (const child of children) {
    const fields = readFields(child, 'extension')
    const identifier = readObjectIdentifier(fields.next('extension identifier'), 'extension identifier')
    const critical = fields.optional(tags.boolean)
    const value = readOctetString(fields.next('value of the extension'), `value of extension ${identifier}`)
    fields.end()
    if (extensions.has(identifier))
      throw new ProtocolError(`extension ${identifier} at ${child.offset}: it is there twice`)
    extensions.set(identifier, { identifier, critical: critical !== null && readBoolean(critical, 'critical'), value })
  }
  return extensions
}

/** In the order of their bits (RFC 5280 §4.2.1.3). */
export const keyUsages = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

export type KeyUsage = (typeof keyUsages)[number]

export const readKeyUsage = (value: Uint8Array): KeyUsage[] => {
  const { bytes } = readBitString(readDer(value), 'keyUsage')
  const usages = keyUsages.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)
  if (usages.length === 0) throw new ProtocolError('keyUsage: no bit is set, expected one at least (RFC 5280 §4.2.1.3)')
  return usages
}

/** CA:TRUE and its path length, null for CA:FALSE (RFC 5280 §4.2.1.9). */
export const readBasicConstraints = (value: Uint8Array): { pathLength: number | null } | null => {
  const fields = readFields(readDer(value), 'basicConstraints')
  const flag = fields.optional(tags.boolean)
  const length = fields.optional(tags.integer)
  fields.end()
  const pathLength = length === null ? null : readSmallInteger(length, 'pathLenConstraint')
  if (flag !== null && readBoolean(flag, 'cA')) return { pathLength }
  if (pathLength !== null) throw new ProtocolError('basicConstraints: a path length without CA:TRUE')
  return null
}

const extendedUsages = [
  'serverAuth',
  'clientAuth',
  'codeSigning',
  'emailProtection',
  'timeStamping',
  'ocspSigning',
  'anyExtendedKeyUsage',
] as const
const usageNames = new Map<string, string>(extendedUsages.map((name) => [oid[name], name]))

/** The elements of a SEQUENCE OF, one at least. */
const readElements = (value: Uint8Array, what: string): readonly DerNode[] => {
  const { children } = expectTag(readDer(value), tags.sequence, what)
  if (children.length === 0) throw new ProtocolError(`${what}: it is empty, expected one element at least`)
  return children
}

/** Names where there is one, dotted decimal else. */
export const readExtendedKeyUsage = (value: Uint8Array): string[] =>
  readElements(value, 'extendedKeyUsage').map((node) => {
    const identifier = readObjectIdentifier(node, 'extended key usage')
    return usageNames.get(identifier) ?? identifier
  })

const contextTag = (number: number, constructed: boolean): number => (constructed ? 0xa0 : 0x80) | number

/** The key identifier, null where the authority is named in another way only (RFC 5280 §4.2.1.1). */
export const readAuthorityKeyIdentifier = (value: Uint8Array): Uint8Array | null => {
  const fields = readFields(readDer(value), 'authorityKeyIdentifier')
  const identifier = fields.optional(contextTag(0, false))
  const issuer = fields.optional(contextTag(1, true))
  fields.optional(contextTag(2, false))
  fields.end()
  if (issuer !== null) collectGeneralNames(issuer.children)
  return identifier?.content ?? null
}

export const readSubjectKeyIdentifier = (value: Uint8Array): Uint8Array =>
  readOctetString(readDer(value), 'subjectKeyIdentifier')

const readDistributionPoint = (point: DerNode): string[] => {
  const fields = readFields(point, 'DistributionPoint')
  const name = fields.optional(contextTag(0, true))
  fields.optional(contextTag(1, false))
  fields.optional(contextTag(2, true))
  fields.end()
  if (name === null) return []
  const form = readOnly(name, 'distributionPoint')
  return form.tag === contextTag(0, true) ? collectGeneralNames(form.children).uri : []
}

/** The URIs of all distribution points (RFC 5280 §4.2.1.13); names of other kinds are passed over. */
export const readCrlDistributionPoints = (value: Uint8Array): string[] =>
  readElements(value, 'cRLDistributionPoints').flatMap(readDistributionPoint)
