/** Identifier octets of X.690 that X.509 uses. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  nullValue: 0x05,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

const totalLength = (parts: readonly Uint8Array[]): number => {
  let length = 0
  for (const part of parts) length += part.length
  return length
}

const copyInto = (bytes: Uint8Array, start: number, parts: readonly Uint8Array[]): Uint8Array => {
  let offset = start
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

export const concat = (...parts: readonly Uint8Array[]): Uint8Array =>
  copyInto(new Uint8Array(totalLength(parts)), 0, parts)

/** Octets that the length field takes (X.690 §8.1.3, definite form, shortest). */
const lengthOfLength = (length: number): number =>
  length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : length < 0x100_0000 ? 4 : 5

/** One TLV around the parts, which are copied once. */
export const encode = (tag: number, parts: readonly Uint8Array[]): Uint8Array => {
  const length = totalLength(parts)
  const header = 1 + lengthOfLength(length)
  const bytes = new Uint8Array(header + length)
  bytes[0] = tag
  if (header === 2) bytes[1] = length
  else {
    bytes[1] = 0x80 | (header - 2)
    for (let index = header - 1, rest = length; index > 1; index -= 1) {
      bytes[index] = rest
      rest = Math.floor(rest / 256)
    }
  }
  return copyInto(bytes, header, parts)
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => encode(tags.sequence, parts)

/** Bytewise order, the shorter first where one begins the other (X.690 §11.6). */
const inDerOrder = (left: Uint8Array, right: Uint8Array): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** SET OF: the elements are put in DER order. */
export const set = (...parts: readonly Uint8Array[]): Uint8Array => encode(tags.set, sortedForSet(parts))

/** The elements of a SET OF in DER order, for one under an implicit tag. */
export const sortedForSet = (parts: readonly Uint8Array[]): Uint8Array[] => [...parts].sort(inDerOrder)

/** Two's complement, shortest. */
const signedBytes = (value: bigint | number): Uint8Array => {
  if (typeof value === 'number' && value >= 0 && value < 0x80 && Number.isInteger(value)) return Uint8Array.of(value)
  const bytes: number[] = []
  for (let rest = BigInt(value); ; rest >>= 8n) {
    const byte = Number(BigInt.asUintN(8, rest))
    bytes.unshift(byte)
    if (rest >= -128n && rest <= 127n) return Uint8Array.from(bytes)
  }
}

/** The content of an INTEGER from an unsigned big-endian number: no needless zeros, one where the top bit is set. */
const unsignedBytes = (bytes: Uint8Array): Uint8Array => {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1
  const trimmed = bytes.subarray(start)
  if (trimmed.length === 0) return Uint8Array.of(0)
  return (trimmed[0] ?? 0) < 0x80 ? trimmed : concat(Uint8Array.of(0), trimmed)
}

/** A number, or an unsigned big-endian one as bytes. */
export const integer = (value: bigint | number | Uint8Array): Uint8Array =>
  encode(tags.integer, [value instanceof Uint8Array ? unsignedBytes(value) : signedBytes(value)])

export const enumerated = (value: number): Uint8Array => encode(tags.enumerated, [signedBytes(value)])

export const boolean = (value: boolean): Uint8Array => Uint8Array.of(tags.boolean, 1, value ? 0xff : 0)

export const nullValue = (): Uint8Array => Uint8Array.of(tags.nullValue, 0)

export const octetString = (...parts: readonly Uint8Array[]): Uint8Array => encode(tags.octetString, parts)

export const bitString = (bytes: Uint8Array, unusedBits = 0): Uint8Array =>
  encode(tags.bitString, [Uint8Array.of(unusedBits), bytes])

/** A named-bit list such as KeyUsage: bit 0 is the top bit of the first octet, zeros at the end are left out (X.690 §11.2.2). */
export const namedBitString = (bits: readonly number[]): Uint8Array => {
  if (bits.length === 0) return bitString(new Uint8Array(0))
  const last = Math.max(...bits)
  const bytes = new Uint8Array(Math.floor(last / 8) + 1)
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return bitString(bytes, 7 - (last & 7))
}

/** IMPLICIT or EXPLICIT `[number]` around encoded values. */
export const contextConstructed = (number: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  encode(0xa0 | number, parts)

/** IMPLICIT `[number]` of a primitive type, by its content octets. */
export const contextPrimitive = (number: number, content: Uint8Array): Uint8Array => encode(0x80 | number, [content])
