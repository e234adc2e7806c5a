import { ProtocolError } from './error.ts'

const pairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hexadecimal, two digits a byte. */
export const toHex = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += pairs[byte]
  return text
}

/** The value of one digit by its code, or -1. */
const digitValue = (code: number): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Strict: an even number of digits, either case, nothing else. */
export const fromHex = (text: string): Uint8Array => {
  const bytes = new Uint8Array(Math.ceil(text.length / 2))
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = (digitValue(text.charCodeAt(2 * index)) << 4) | digitValue(text.charCodeAt(2 * index + 1))
    if (byte < 0)
      throw new ProtocolError(`hexadecimal: expected pairs of 0-9 and a-f, found something else at ${2 * index}`)
    bytes[index] = byte
  }
  return bytes
}
