import { encode, tags } from './der-writer.ts'
import { ProtocolError } from './error.ts'

const arcBytes = (arc: bigint): number[] => {
  const bytes = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80)
  return bytes
}

const encodeObjectIdentifier = (text: string): Uint8Array => {
  if (!/^[0-2](?:\.(?:0|[1-9]\d*))+$/.test(text) || text.length > 255) {
    throw new ProtocolError(
      `object identifier: '${text.slice(0, 64)}' is not dotted decimal that begins with 0, 1 or 2`,
    )
  }
  const [first = 0n, second = 0n, ...others] = text.split('.').map(BigInt)
  if (first < 2n && second > 39n) throw new ProtocolError(`object identifier: second arc of '${text}' is over 39`)
  return encode(tags.objectIdentifier, [Uint8Array.from([first * 40n + second, ...others].flatMap(arcBytes))])
}

/** A certificate names some twenty identifiers, always the same; the map is bounded since a caller may bring others. */
const encodedIdentifiers = new Map<string, Uint8Array>()

/** From dotted decimal. The bytes are shared: not to be written to. */
export const objectIdentifier = (text: string): Uint8Array => {
  const known = encodedIdentifiers.get(text)
  if (known !== undefined) return known
  const encoded = encodeObjectIdentifier(text)
  if (encodedIdentifiers.size < 128) encodedIdentifiers.set(text, encoded)
  return encoded
}

const utf8 = new TextEncoder()

export const utf8String = (text: string): Uint8Array => {
  if (!text.isWellFormed()) throw new ProtocolError('UTF8String: the text holds half of a surrogate pair')
  return encode(tags.utf8String, [utf8.encode(text)])
}

/** X.680 §41.4: letters, digits, space and '()+,-./:=? */
export const isPrintable = (text: string): boolean => /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)

export const printableString = (text: string): Uint8Array => {
  if (!isPrintable(text))
    throw new ProtocolError(`PrintableString: '${text.slice(0, 64)}' holds a character outside its set`)
  return encode(tags.printableString, [utf8.encode(text)])
}

/** The content octets of an IA5String, for one under an implicit tag. */
export const ia5Bytes = (text: string): Uint8Array => {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) > 0x7f)
      throw new ProtocolError(`IA5String: character ${index} of '${text.slice(0, 64)}' is not ASCII`)
  }
  return utf8.encode(text)
}

export const ia5String = (text: string): Uint8Array => encode(tags.ia5String, [ia5Bytes(text)])

const earliest = -631_152_000_000 // 1950-01-01
const firstGeneralized = 2_524_608_000_000 // 2050-01-01
const afterLast = 253_402_300_800_000 // 10000-01-01

/** UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5), from Unix milliseconds cut to whole seconds. */
export const time = (instant: number): Uint8Array => {
  if (!(instant >= earliest && instant < afterLast)) {
    throw new ProtocolError(`time: ${instant} ms is not between the years 1950 and 9999`)
  }
  const date = new Date(instant)
  const year = date.getUTCFullYear()
  const long = instant >= firstGeneralized
  const parts = [
    ...(long ? [Math.floor(year / 100)] : []),
    year % 100,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ]
  const text = new Uint8Array(2 * parts.length + 1)
  for (const [index, part] of parts.entries()) {
    text[2 * index] = 0x30 + Math.floor(part / 10)
    text[2 * index + 1] = 0x30 + (part % 10)
  }
  text[text.length - 1] = 0x5a
  return encode(long ? tags.generalizedTime : tags.utcTime, [text])
}
