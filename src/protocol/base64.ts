import { ProtocolError } from './error.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const urlAlphabet = `${alphabet.slice(0, 62)}-_`

const whiteSpace = 64
const notInAlphabet = 255

/** Values of the characters 0 to 127: 0 to 63, `whiteSpace` or `notInAlphabet`. */
const valuesOf = (digits: string, ignored: string): Uint8Array => {
  const table = new Uint8Array(128).fill(notInAlphabet)
  for (const [value, digit] of [...digits].entries()) table[digit.charCodeAt(0)] = value
  for (const character of ignored) table[character.charCodeAt(0)] = whiteSpace
  return table
}

const values = valuesOf(alphabet, ' \t\r\n')
const urlValues = valuesOf(urlAlphabet, '')

/** Into bytes and then text at once: a string that grows digit by digit takes seconds for a large CRL. */
const encode = (bytes: Uint8Array, digits: string, pad: string): string => {
  const codes = new TextEncoder().encode(digits)
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let length = 0
  for (let index = 0; index < bytes.length; index += 3) {
    const group = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0)
    for (let shift = 18; shift >= 0; shift -= 6) text[length++] = codes[(group >> shift) & 63] ?? 0
  }
  const missing = (3 - (bytes.length % 3)) % 3
  return new TextDecoder().decode(text.subarray(0, length - missing)) + pad.repeat(missing)
}

const decode = (text: string, table: Uint8Array, padded: boolean): Uint8Array => {
  const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4))
  let length = 0
  let digits = 0
  let padding = 0
  let group = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (padded && code === 0x3d) {
      padding += 1
      continue
    }
    const value = code < 128 ? (table[code] ?? notInAlphabet) : notInAlphabet
    if (value === whiteSpace) continue
    if (value === notInAlphabet)
      throw new ProtocolError(
        `base64: character U+${code.toString(16).padStart(4, '0')} at ${index} is not in the alphabet`,
      )
    if (padding > 0) throw new ProtocolError(`base64: a digit follows the padding at ${index}`)
    group = (group << 6) | value
    digits += 1
    if (digits % 4 === 0) {
      bytes[length] = group >> 16
      bytes[length + 1] = group >> 8
      bytes[length + 2] = group
      length += 3
      group = 0
    }
  }
  const rest = digits % 4
  const expected = padded && rest > 0 ? 4 - rest : 0
  if (rest === 1 || padding !== expected) {
    throw new ProtocolError(
      `base64: ends with ${rest} digits over and ${padding} padding characters, expected ${rest === 1 ? 'whole bytes' : expected}`,
    )
  }
  // RFC 4648 §3.5: bits that encode nothing are zero, so that one value has one spelling.
  const unused = rest === 2 ? group & 0x0f : rest === 3 ? group & 0x03 : 0
  if (unused !== 0) throw new ProtocolError('base64: bits after the last byte are not zero')
  if (rest === 2) bytes[length++] = group >> 4
  if (rest === 3) {
    bytes[length++] = group >> 10
    bytes[length++] = group >> 2
  }
  return bytes.subarray(0, length)
}

/** RFC 4648 §4, one line. */
export const encodeBase64 = (bytes: Uint8Array): string => encode(bytes, alphabet, '=')

/** Lines of `width` characters, each ended by LF, the last one too. Nothing for no bytes. */
export const encodeBase64Lines = (bytes: Uint8Array, width = 76): string => {
  const text = encodeBase64(bytes)
  const lines: string[] = []
  for (let index = 0; index < text.length; index += width) lines.push(text.slice(index, index + width), '\n')
  return lines.join('')
}

/** RFC 4648 §4. White space is skipped wherever it stands (RFC 8951 §3.1); everything else is strict. */
export const decodeBase64 = (text: string): Uint8Array => decode(text, values, true)

/** RFC 4648 §5 without padding. */
export const encodeBase64Url = (bytes: Uint8Array): string => encode(bytes, urlAlphabet, '')

/** RFC 4648 §5; padding and white space are refused. */
export const decodeBase64Url = (text: string): Uint8Array => decode(text, urlValues, false)
