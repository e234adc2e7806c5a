import type { DerNode } from './der-reader.ts'
import { tags } from './der-writer.ts'
import { ProtocolError } from './error.ts'

/** Throws, naming the value and where it stands. */
export const fail = (node: DerNode, what: string, problem: string): never => {
  throw new ProtocolError(`${what} at ${node.offset}: ${problem}`)
}

const tagNames = new Map<number, string>(Object.entries(tags).map(([name, tag]) => [tag, name]))

/** A tag as people write it: `sequence`, `[0]`. */
export const tagText = (tag: number): string => {
  if ((tag & 0xc0) === 0x80) return `[${tag & 0x1f}]`
  return tagNames.get(tag) ?? `tag 0x${tag.toString(16).padStart(2, '0')}`
}

/** The node itself, when it has this identifier octet. `what` names the value in the error. */
export const expectTag = (node: DerNode, tag: number, what: string): DerNode =>
  node.tag === tag ? node : fail(node, what, `expected ${tagText(tag)}, found ${tagText(node.tag)}`)

/** The elements of a SEQUENCE taken in order. */
export interface Fields {
  /** The next element, of any tag or of `tag`. */
  next(what: string, tag?: number): DerNode
  /** The next element if there is one and it has this tag, where one is given. */
  optional(tag?: number): DerNode | null
  /** Refuses what is left over. */
  end(): void
}

/** Opens a constructed value, a SEQUENCE if not told otherwise. */
export const readFields = (node: DerNode, what: string, tag: number = tags.sequence): Fields => {
  const { children } = expectTag(node, tag, what)
  let index = 0
  return {
    next(name, expected) {
      const child = children[index]
      if (child === undefined) return fail(node, what, `ends before ${name}`)
      index += 1
      return expected === undefined ? child : expectTag(child, expected, name)
    },
    optional(expected) {
      const child = children[index]
      if (child === undefined || (expected !== undefined && child.tag !== expected)) return null
      index += 1
      return child
    },
    end() {
      const child = children[index]
      if (child !== undefined) fail(child, what, `an element too many: ${tagText(child.tag)}`)
    },
  }
}

/** The only element inside an EXPLICIT tag. */
export const readOnly = (node: DerNode, what: string): DerNode => {
  const [child, second] = node.children
  return child === undefined || second !== undefined
    ? fail(node, what, `expected one element, found ${node.children.length}`)
    : child
}

/** Dotted decimal. */
export const readObjectIdentifier = (node: DerNode, what = 'OBJECT IDENTIFIER'): string => {
  const { content } = expectTag(node, tags.objectIdentifier, what)
  if (content.length === 0 || content.length > 63) fail(node, what, `${content.length} octets; 1 to 63 allowed`)
  if (((content[content.length - 1] ?? 0) & 0x80) !== 0) fail(node, what, 'ends inside an arc')
  let text = ''
  let arc = 0
  let fresh = true
  for (const octet of content) {
    if (fresh && octet === 0x80) fail(node, what, 'an arc with a leading zero')
    if (arc > 0x7fff_ffff_ffff) fail(node, what, 'an arc over 2^53')
    arc = arc * 128 + (octet & 0x7f)
    fresh = (octet & 0x80) === 0
    if (!fresh) continue
    if (text === '') {
      const first = Math.min(Math.floor(arc / 40), 2)
      text = `${first}.${arc - first * 40}`
    } else text += `.${arc}`
    arc = 0
  }
  return text
}

/** The content octets of an INTEGER: two's complement, checked to be the shortest. */
export const readIntegerBytes = (node: DerNode, what = 'INTEGER'): Uint8Array => {
  const { content } = expectTag(node, tags.integer, what)
  return checkedInteger(node, content, what)
}

const checkedInteger = (node: DerNode, content: Uint8Array, what: string): Uint8Array => {
  const [first, second = 0] = content
  if (first === undefined) return fail(node, what, 'no octets')
  if (content.length > 1 && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    fail(node, what, 'a needless leading octet')
  }
  return content
}

const toBigint = (content: Uint8Array): bigint => {
  let value = 0n
  for (const octet of content) value = (value << 8n) | BigInt(octet)
  return BigInt.asIntN(8 * content.length, value)
}

/** At most 1,024 octets, since the conversion is quadratic; use `readIntegerBytes` for more. */
export const readInteger = (node: DerNode, what = 'INTEGER'): bigint => {
  const content = readIntegerBytes(node, what)
  if (content.length > 1024) fail(node, what, `${content.length} octets; 1024 at most`)
  return toBigint(content)
}

const smallNumber = (node: DerNode, content: Uint8Array, what: string): number => {
  const [first = 0] = content
  if (content.length > 4 || first >= 0x80) fail(node, what, 'expected a number from 0 to 2^31-1')
  return Number(toBigint(content))
}

/** A number from 0 to 2^31-1. */
export const readSmallInteger = (node: DerNode, what = 'INTEGER'): number =>
  smallNumber(node, readIntegerBytes(node, what), what)

/** A number from 0 to 2^31-1. */
export const readEnumerated = (node: DerNode, what = 'ENUMERATED'): number =>
  smallNumber(node, checkedInteger(node, expectTag(node, tags.enumerated, what).content, what), what)

export const readBoolean = (node: DerNode, what = 'BOOLEAN'): boolean => {
  const { content } = expectTag(node, tags.boolean, what)
  if (content.length !== 1) fail(node, what, `${content.length} octets, expected 1`)
  if (content[0] !== 0x00 && content[0] !== 0xff) fail(node, what, 'neither 0x00 nor 0xff')
  return content[0] === 0xff
}

export const readNull = (node: DerNode, what = 'NULL'): null => {
  if (expectTag(node, tags.nullValue, what).content.length > 0) fail(node, what, 'it has content')
  return null
}

/** Padding bits are checked to be zero. A BIT STRING under an implicit tag is read by giving that tag. */
export const readBitString = (
  node: DerNode,
  what = 'BIT STRING',
  tag: number = tags.bitString,
): { bytes: Uint8Array; unusedBits: number } => {
  const { content } = expectTag(node, tag, what)
  const [unusedBits] = content
  if (unusedBits === undefined || unusedBits > 7)
    return fail(node, what, 'the octet of unused bits is missing or over 7')
  if (content.length === 1 && unusedBits > 0) fail(node, what, `${unusedBits} unused bits of none`)
  if (((content[content.length - 1] ?? 0) & ((1 << unusedBits) - 1)) !== 0 && content.length > 1) {
    fail(node, what, 'padding bits are not zero')
  }
  return { bytes: content.subarray(1), unusedBits }
}

/** A BIT STRING that holds whole octets. */
export const readOctetBitString = (node: DerNode, what = 'BIT STRING'): Uint8Array => {
  const { bytes, unusedBits } = readBitString(node, what)
  return unusedBits === 0 ? bytes : fail(node, what, `${unusedBits} unused bits, expected whole octets`)
}

export const readOctetString = (node: DerNode, what = 'OCTET STRING'): Uint8Array =>
  expectTag(node, tags.octetString, what).content
