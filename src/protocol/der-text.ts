import type { DerNode } from './der-reader.ts'
import { fail, tagText } from './der-values.ts'
import { tags } from './der-writer.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const decodeUtf8 = (node: DerNode, what: string): string => {
  try {
    return utf8.decode(node.content)
  } catch {
    return fail(node, what, 'not UTF-8')
  }
}

/** One, two or four octets a character. */
const decodeWide = (node: DerNode, width: 1 | 2 | 4, what: string): string => {
  const { content } = node
  if (content.length % width !== 0) fail(node, what, `${content.length} octets, expected a multiple of ${width}`)
  let text = ''
  for (let index = 0; index < content.length; index += width) {
    let code = 0
    for (const octet of content.subarray(index, index + width)) code = code * 256 + octet
    if (code > 0x10_ffff || (code >= 0xd800 && code < 0xe000)) fail(node, what, `no character has the code ${code}`)
    text += String.fromCodePoint(code)
  }
  return text
}

const decodeAscii = (node: DerNode, lowest: number, what: string): string => {
  let text = ''
  for (const octet of node.content) {
    if (octet < lowest || octet > 0x7e)
      fail(node, what, `octet 0x${octet.toString(16)} is not a character of this type`)
    text += String.fromCharCode(octet)
  }
  return text
}

/** Any string type that X.509 names use. PrintableString is read as printable ASCII, since certificates with `@` and `*` in it abound. */
export const readString = (node: DerNode, what = 'string'): string => {
  switch (node.tag) {
    case tags.utf8String:
      return decodeUtf8(node, what)
    case tags.printableString:
    case tags.numericString:
    case tags.visibleString:
      return decodeAscii(node, 0x20, what)
    case tags.ia5String:
      return decodeAscii(node, 0x00, what)
    case tags.teletexString:
      return decodeWide(node, 1, what)
    case tags.bmpString:
      return decodeWide(node, 2, what)
    case tags.universalString:
      return decodeWide(node, 4, what)
    default:
      return fail(node, what, `expected a string, found ${tagText(node.tag)}`)
  }
}

const digits = (content: Uint8Array, start: number, count: number): number => {
  let value = 0
  for (let index = start; index < start + count; index += 1) {
    const digit = (content[index] ?? 0) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** UTCTime `YYMMDDHHMMSSZ` (50 to 99 are 1950 to 1999) or GeneralizedTime `YYYYMMDDHHMMSSZ` as Unix milliseconds. No other form is DER. */
export const readTime = (node: DerNode, what = 'time'): number => {
  if (node.tag !== tags.utcTime && node.tag !== tags.generalizedTime)
    fail(node, what, `expected a time, found ${tagText(node.tag)}`)
  const { content } = node
  const short = node.tag === tags.utcTime
  const yearLength = short ? 2 : 4
  if (content.length !== yearLength + 11 || content[content.length - 1] !== 0x5a) {
    fail(node, what, short ? 'expected YYMMDDHHMMSSZ' : 'expected YYYYMMDDHHMMSSZ')
  }
  const written = digits(content, 0, yearLength)
  const year = short ? written + (written < 50 ? 2000 : 1900) : written
  const part = (index: number): number => digits(content, yearLength + 2 * index, 2)
  const [month, day, hour, minute, second] = [part(0), part(1), part(2), part(3), part(4)]
  const instant = Date.UTC(year, month - 1, day, hour, minute, second)
  const read = new Date(instant)
  // Date.UTC carries 31 June over into July and reads years under 100 as 19xx; both show here.
  const same =
    read.getUTCFullYear() === year && read.getUTCMonth() === month - 1 && hour < 24 && minute < 60 && second < 60
  return same ? instant : fail(node, what, 'not a date and time of the calendar')
}
