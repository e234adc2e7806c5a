import { decodeBase64Url, encodeBase64Url } from './base64.ts'
import { integer, readDer } from './der.ts'
import { ProtocolError } from './error.ts'
import { toHex } from './hex.ts'

/** RFC 9773 §4.2. Instants as RFC 3339 text. */
export interface RenewalInfo {
  suggestedWindow: { start: string; end: string }
  explanationURL?: string
}

/** The content octets of the serial number's INTEGER, with the zero that a set top bit needs. */
const integerContent = (unsigned: Uint8Array): Uint8Array => readDer(integer(unsigned)).content

/** `base64url(key identifier).base64url(serial)` without padding (RFC 9773 §4.1). The serial is unsigned big-endian. */
export const certificateId = (authorityKeyIdentifier: Uint8Array, serial: Uint8Array): string =>
  `${encodeBase64Url(authorityKeyIdentifier)}.${encodeBase64Url(integerContent(serial))}`

const decodePart = (part: string, what: string, maximum: number): Uint8Array => {
  const bytes = decodeBase64Url(part)
  if (bytes.length === 0 || bytes.length > maximum) {
    throw new ProtocolError(`certificate identifier: ${what} of ${bytes.length} octets; 1 to ${maximum} allowed`)
  }
  return bytes
}

/** The opposite; `serial` comes as lower-case hexadecimal without the sign octet, as the inventory spells it. */
export const parseCertificateId = (text: string): { authorityKeyIdentifier: Uint8Array; serial: string } => {
  const parts = text.length > 256 ? [] : text.split('.')
  const [first, second] = parts
  if (first === undefined || second === undefined || parts.length !== 2) {
    throw new ProtocolError(
      'certificate identifier: expected two parts of base64url with a dot between (RFC 9773 §4.1)',
    )
  }
  const authorityKeyIdentifier = decodePart(first, 'key identifier', 64)
  const content = decodePart(second, 'serial', 33)
  const [top = 0, next = 0] = content
  if (top >= 0x80 || (content.length > 1 && top === 0 && next < 0x80)) {
    throw new ProtocolError('certificate identifier: the serial is not a positive DER INTEGER in its shortest form')
  }
  return { authorityKeyIdentifier, serial: toHex(top === 0 && content.length > 1 ? content.subarray(1) : content) }
}
