import type { DerNode } from './der.ts'
import {
  expectTag,
  ia5String,
  isPrintable,
  objectIdentifier,
  printableString,
  readDer,
  readFields,
  readObjectIdentifier,
  readString,
  sequence,
  set,
  tags,
  utf8String,
} from './der.ts'
import { ProtocolError } from './error.ts'
import { toHex } from './hex.ts'
import { oid } from './oid.ts'

const identifiers = {
  CN: oid.commonName,
  SN: oid.surname,
  serialNumber: oid.serialNumber,
  C: oid.countryName,
  L: oid.localityName,
  ST: oid.stateOrProvinceName,
  STREET: oid.streetAddress,
  O: oid.organizationName,
  OU: oid.organizationalUnitName,
  title: oid.title,
  GN: oid.givenName,
  DC: oid.domainComponent,
  UID: oid.userId,
  emailAddress: oid.emailAddress,
} as const

export type NameAttribute = keyof typeof identifiers

const shortNames = new Map<string, string>(Object.entries(identifiers).map(([name, identifier]) => [identifier, name]))

export const isNameAttribute = (text: string): text is NameAttribute => Object.hasOwn(identifiers, text)

/** Upper bounds of RFC 5280 appendix A.1 in characters; 64 where it gives none that binds. */
const upperBound = (attribute: NameAttribute): number => {
  if (attribute === 'C') return 2
  if (attribute === 'L' || attribute === 'ST' || attribute === 'STREET') return 128
  if (attribute === 'emailAddress' || attribute === 'UID') return 255
  return 64
}

/** The string type that RFC 5280 appendix A.1 asks of each attribute; UTF8String where it leaves the choice. */
const encodeValue = (attribute: NameAttribute, value: string): Uint8Array => {
  const length = [...value].length
  const bound = upperBound(attribute)
  if (length === 0 || length > bound) {
    throw new ProtocolError(`name: ${attribute} of ${length} characters; 1 to ${bound} allowed`)
  }
  switch (attribute) {
    case 'C':
      if (!/^[A-Z]{2}$/.test(value))
        throw new ProtocolError(`name: C '${value}' is not a two-letter country code such as CH`)
      return printableString(value)
    case 'serialNumber':
      if (!isPrintable(value))
        throw new ProtocolError(`name: serialNumber '${value}' holds a character outside PrintableString`)
      return printableString(value)
    case 'DC':
    case 'emailAddress':
      return ia5String(value)
    default:
      return utf8String(value)
  }
}

/** Name (RFC 5280 §4.1.2.4) with one attribute per RDN, in the order given, which is from the root down: C, O, …, CN. */
export const encodeName = (attributes: ReadonlyArray<readonly [NameAttribute, string]>): Uint8Array =>
  sequence(
    ...attributes.map(([attribute, value]) =>
      set(sequence(objectIdentifier(identifiers[attribute]), encodeValue(attribute, value))),
    ),
  )

interface Attribute {
  identifier: string
  value: DerNode
}

/** A name may hold this many RDNs and this many attributes in one of them; real ones have some ten and one. */
const maximumParts = 64

const readRdns = (der: Uint8Array): Attribute[][] => {
  const { children } = expectTag(readDer(der), tags.sequence, 'name')
  if (children.length > maximumParts) throw new ProtocolError(`name: ${children.length} RDNs; ${maximumParts} at most`)
  return children.map((rdn) => {
    const attributes = expectTag(rdn, tags.set, 'RDN').children
    if (attributes.length === 0 || attributes.length > maximumParts) {
      throw new ProtocolError(`RDN at ${rdn.offset}: ${attributes.length} attributes; 1 to ${maximumParts} allowed`)
    }
    return attributes.map((attribute) => {
      const fields = readFields(attribute, 'attribute of a name')
      const identifier = readObjectIdentifier(fields.next('attribute type'), 'attribute type')
      const value = fields.next('attribute value')
      fields.end()
      return { identifier, value }
    })
  })
}

const isStringTag = (tag: number): boolean =>
  tag === tags.utf8String ||
  tag === tags.printableString ||
  tag === tags.ia5String ||
  tag === tags.teletexString ||
  tag === tags.bmpString ||
  tag === tags.universalString ||
  tag === tags.numericString ||
  tag === tags.visibleString

/** Attributes in their order as [short name or dotted decimal, text]; a value that is no string is `#` and the hexadecimal of its DER. */
export const readName = (der: Uint8Array): Array<[string, string]> =>
  readRdns(der)
    .flat()
    .map(({ identifier, value }) => [
      shortNames.get(identifier) ?? identifier,
      isStringTag(value.tag) ? readString(value, 'name') : `#${toHex(value.bytes)}`,
    ])

/** RFC 4514 §2.4; control characters are written as pairs of hexadecimal digits too, so that the text is fit for a log. */
const escapeValue = (text: string): string => {
  if (/^[A-Za-z0-9._:/@*-]+$/.test(text)) return text
  const escaped = text.replace(/[",+;<>\\\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/gu, (character) =>
    /[",+;<>\\]/.test(character)
      ? `\\${character}`
      : toHex(new TextEncoder().encode(character)).replace(/../g, (pair) => `\\${pair}`),
  )
  const headed = /^[ #]/.test(escaped) ? `\\${escaped}` : escaped
  return text.length > 1 && text.endsWith(' ') ? `${headed.slice(0, -1)}\\ ` : headed
}

/** RFC 4514: from the leaf up, `CN=device-1,O=Example`. Empty for an empty name. */
export const nameText = (der: Uint8Array): string =>
  readRdns(der)
    .reverse()
    .map((attributes) =>
      attributes
        .map(({ identifier, value }) => {
          const shortName = shortNames.get(identifier)
          if (shortName === undefined || !isStringTag(value.tag))
            return `${shortName ?? identifier}=#${toHex(value.bytes)}`
          return `${shortName}=${escapeValue(readString(value, 'name'))}`
        })
        .join('+'),
    )
    .join(',')

/** An empty Name, for certificates that are named by their SAN alone. */
export const emptyName: Uint8Array = sequence()
