import { EverleafError } from '../errors.ts'
import type { Serial } from '../model.ts'
import { fromHex, toHex } from '../protocol/hex.ts'

/** RFC 5280 §4.1.2.2 allows 20 octets; some authorities wrote a few more. */
const maximumOctets = 32

/** A serial number from 16 random bytes: positive, first two bits 01, so that the DER length is always the same. */
export const serialFromBytes = (random: Uint8Array): Serial => {
  if (random.length !== 16) throw new EverleafError('internal', `serial: ${random.length} random bytes, expected 16`)
  const bytes = Uint8Array.from(random)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return toHex(bytes)
}

const canonical = (digits: string): Serial => {
  const significant = digits.toLowerCase().replace(/^(?:00)+(?=..)/, '')
  if (significant.length > 2 * maximumOctets) {
    throw new EverleafError('bad-input', `serial: ${significant.length / 2} octets; ${maximumOctets} at most`)
  }
  return significant
}

/**
 * One spelling for all: lower-case hexadecimal, even length, no separators, no leading zero octets. Takes colons, blanks, upper case and `0x`,
 * as AWS, OpenSSL and browsers write them. Decimal cannot be told from hexadecimal, so the caller has to say it.
 */
export const normaliseSerial = (text: string, options: { decimal?: boolean } = {}): Serial => {
  const trimmed = text.trim()
  if (options.decimal === true) {
    if (!/^\d{1,78}$/.test(trimmed)) {
      throw new EverleafError(
        'bad-input',
        `serial: '${trimmed.slice(0, 80)}' is not a decimal number of 78 digits at most`,
      )
    }
    return serialFromInteger(BigInt(trimmed))
  }
  if (trimmed.length > 256 || !/^(?:0x)?[0-9a-f]+(?:[: ][0-9a-f]+)*$/i.test(trimmed)) {
    throw new EverleafError(
      'bad-input',
      `serial: '${trimmed.slice(0, 80)}' is not hexadecimal such as 0a:1b:2c or 0A1B2C`,
    )
  }
  const digits = trimmed.replace(/^0x/i, '').replace(/[: ]/g, '')
  return canonical(digits.length % 2 === 0 ? digits : `0${digits}`)
}

/** Unsigned big-endian, without DER's sign octet. */
export const serialToBytes = (serial: Serial): Uint8Array => fromHex(serial)

/** From the content octets of a DER INTEGER, or a number. A negative serial is refused: no gateway treats them alike. */
export const serialFromInteger = (value: Uint8Array | bigint): Serial => {
  if (typeof value === 'bigint') {
    if (value < 0n) throw new EverleafError('bad-input', `serial: ${value} is negative, expected a positive number`)
    const digits = value.toString(16)
    return canonical(digits.length % 2 === 0 ? digits : `0${digits}`)
  }
  const [first] = value
  if (first === undefined || first >= 0x80) {
    throw new EverleafError('bad-input', 'serial: it is negative or empty, expected a positive number')
  }
  return canonical(toHex(value))
}
