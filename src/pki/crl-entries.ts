import { EverleafError } from '../errors.ts'
import type { Instant, RevocationReason, Serial } from '../model.ts'

/*
 * The revokedCertificates of a CRL as flat bytes (RFC 5280 §5.1.2.6). A CRL may hold millions of entries, so they are
 * written straight into byte chunks and read in place: no object, no DER tree per entry.
 */

/** One revoked certificate. `revokedAt` is truncated to whole seconds. */
export interface CrlEntry {
  serial: Serial
  revokedAt: Instant
  reason: RevocationReason
}

/** The entries in the order given; `chunks` laid end to end are the content of the SEQUENCE OF. */
export interface EncodedEntries {
  chunks: Uint8Array[]
  bytes: number
  count: number
}

/** CRLReason, RFC 5280 §5.3.1. */
export const reasonCodes: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
  aACompromise: 10,
}

/** Everything of the reason extension before its code: extensions, extension, id-ce-cRLReasons, OCTET STRING, ENUMERATED. */
export const reasonPrefix: readonly number[] = [
  0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01,
]

const chunkBytes = 1 << 18
/** Header, serial of 20 octets, GeneralizedTime, reason. */
const longestEntry = 2 + 22 + 17 + 14
export const serialOctets = 20
const secondsPerDay = 86_400
const earliest = Date.UTC(1950, 0, 1)
const latest = Date.UTC(9999, 11, 31, 23, 59, 59)

const hexValues = Int8Array.from({ length: 128 }, (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code)))

const reasonExtensions = new Map(
  Object.entries(reasonCodes).map(([reason, code]) => [reason, Uint8Array.from([...reasonPrefix, code])]),
)

/** Takes entries one at a time, so that nobody needs to hold them all. */
export interface EntryWriter {
  /** `refused` when it cannot be written: a serial that is not 1 to 20 octets of positive DER integer, an instant outside 1950–9999. */
  add(entry: CrlEntry): void
  /** All that was added; nothing more may be. */
  end(): EncodedEntries
}

export function createEntryWriter(): EntryWriter {
  const chunks: Uint8Array[] = []
  const days = new Map<number, Uint8Array>()
  let chunk = new Uint8Array(chunkBytes)
  let used = 0
  let bytes = 0
  let count = 0
  const close = () => {
    chunks.push(chunk.subarray(0, used))
    bytes += used
  }
  return {
    add(entry) {
      if (used + longestEntry > chunkBytes) {
        close()
        chunk = new Uint8Array(chunkBytes)
        used = 0
      }
      used = writeEntry(chunk, used, entry, days)
      count += 1
    },
    end() {
      close()
      return { chunks, bytes, count }
    },
  }
}

/** `refused` as `EntryWriter.add`. */
export function encodeEntries(entries: Iterable<CrlEntry>): EncodedEntries {
  const writer = createEntryWriter()
  for (const entry of entries) writer.add(entry)
  return writer.end()
}

function writeEntry(target: Uint8Array, start: number, entry: CrlEntry, days: Map<number, Uint8Array>): number {
  let offset = writeSerial(target, start + 2, entry.serial)
  offset = writeTime(target, offset, entry, days)
  if (entry.reason !== 'unspecified') offset = copy(target, offset, reasonExtension(entry))
  target[start] = 0x30
  target[start + 1] = offset - start - 2
  return offset
}

function writeSerial(target: Uint8Array, start: number, serial: Serial): number {
  const octets = serial.length / 2
  let offset = start + 2
  if (octets < 1 || octets > serialOctets || !Number.isInteger(octets)) throw badSerial(serial, `${octets} octets`)
  const first = hexOctet(serial, 0)
  if (first === 0) throw badSerial(serial, 'a leading 00')
  if (first >= 0x80) {
    if (octets === serialOctets) throw badSerial(serial, '21 octets with the sign octet')
    target[offset++] = 0
  }
  for (let index = 0; index < serial.length; index += 2) target[offset++] = hexOctet(serial, index)
  target[start] = 0x02
  target[start + 1] = offset - start - 2
  return offset
}

const badSerial = (serial: Serial, found: string) =>
  new EverleafError(
    'refused',
    `CRL entry: serial "${serial.slice(0, 48)}" has ${found}, it must be 1 to ${serialOctets}`,
  )

function hexOctet(text: string, index: number): number {
  const value = ((hexValues[text.charCodeAt(index)] ?? -1) << 4) | (hexValues[text.charCodeAt(index + 1)] ?? -1)
  if (value < 0) throw badSerial(text, 'a character that is not lower-case hexadecimal')
  return value
}

function writeTime(target: Uint8Array, start: number, entry: CrlEntry, days: Map<number, Uint8Array>): number {
  const seconds = Math.floor(entry.revokedAt / 1000)
  const day = Math.floor(seconds / secondsPerDay)
  let prefix = days.get(day)
  if (prefix === undefined) {
    prefix = dayDigits(entry)
    days.set(day, prefix)
  }
  const rest = seconds - day * secondsPerDay
  const utc = prefix.length === 6
  target[start] = utc ? 0x17 : 0x18
  target[start + 1] = utc ? 13 : 15
  let offset = copy(target, start + 2, prefix)
  offset = writeTwoDigits(target, offset, Math.floor(rest / 3600))
  offset = writeTwoDigits(target, offset, Math.floor(rest / 60) % 60)
  offset = writeTwoDigits(target, offset, rest % 60)
  target[offset] = 0x5a
  return offset + 1
}

/** `YYMMDD` until 2049, `YYYYMMDD` after (RFC 5280 §4.1.2.5). */
function dayDigits({ serial, revokedAt }: CrlEntry): Uint8Array {
  if (!(revokedAt >= earliest && revokedAt <= latest))
    throw new EverleafError(
      'refused',
      `CRL entry ${serial}: revoked at ${revokedAt}, it must lie in the years 1950 to 9999`,
    )
  const digits = new Date(revokedAt).toISOString().slice(0, 10).replaceAll('-', '')
  return new TextEncoder().encode(Number(digits.slice(0, 4)) < 2050 ? digits.slice(2) : digits)
}

function writeTwoDigits(target: Uint8Array, offset: number, value: number): number {
  target[offset] = 0x30 + Math.floor(value / 10)
  target[offset + 1] = 0x30 + (value % 10)
  return offset + 2
}

function reasonExtension({ serial, reason }: CrlEntry): Uint8Array {
  const extension = reasonExtensions.get(reason)
  if (extension === undefined) throw new EverleafError('refused', `CRL entry ${serial}: unknown reason "${reason}"`)
  return extension
}

function copy(target: Uint8Array, start: number, source: Uint8Array): number {
  for (let index = 0; index < source.length; index += 1) target[start + index] = source[index] ?? 0
  return start + source.length
}
