import { EverleafError, messageOf } from '../errors.ts'
import type { Instant, RevocationReason, Serial } from '../model.ts'
import type { DerNode } from '../protocol/der.ts'
import { expectTag, readDer, readEnumerated, tags } from '../protocol/der.ts'
import { ProtocolError } from '../protocol/error.ts'
import { toHex } from '../protocol/hex.ts'
import { oid } from '../protocol/oid.ts'
import type { CrlEntry, EncodedEntries } from './crl-entries.ts'
import { reasonCodes, reasonPrefix } from './crl-entries.ts'
import { readExtensions } from './extensions.ts'

/*
 * Reads the entries of a CRL in place. `readDer` has checked the form of every value before; `scanEntries` checks what
 * each entry says, and allocates nothing for those that look as ours do; after it, the other functions cannot fail.
 */

/** What was read of one entry. One is reused for all of them. */
interface EntryView {
  /** Where the content of the serial number lies, sign octet included. */
  serialStart: number
  serialEnd: number
  revokedAt: Instant
  /** Code of RFC 5280 §5.3.1. */
  reason: number
  /** The first octet after the entry. */
  end: number
  /** Critical extensions of entries that are not known here. */
  unknownCritical: Set<string>
  /** Midnight of the days met so far, by their date as a number YYYYMMDD. */
  days: Map<number, Instant>
}

const reasonNames = new Map(Object.entries(reasonCodes).map(([name, code]) => [code, name as RevocationReason]))
const certificateHold = 6
/** We write 20 octets at most; certificates of other authorities are read with up to 32 and a sign octet, so their CRLs are too. */
const longestSerial = 33

const malformed = (offset: number, problem: string) =>
  new EverleafError('bad-input', `CRL entries, octet ${offset}: ${problem}`)

function* views(bytes: Uint8Array): Generator<EntryView> {
  const view: EntryView = {
    serialStart: 0,
    serialEnd: 0,
    revokedAt: 0,
    reason: 0,
    end: 0,
    unknownCritical: new Set(),
    days: new Map(),
  }
  for (let offset = 0; offset < bytes.length; offset = view.end) {
    readEntry(bytes, offset, view)
    yield view
  }
}

export interface ScannedEntries {
  count: number
  /** Each serial is larger than the one before, so none occurs twice. */
  ascending: boolean
  /** Critical entry extensions that are not known. */
  unknownCritical: string[]
}

/** Checks all entries; `bad-input` at the first fault. */
export function scanEntries(bytes: Uint8Array): ScannedEntries {
  let unknownCritical: Iterable<string> = []
  let count = 0
  let ascending = true
  let start = 0
  let end = 0
  for (const view of views(bytes)) {
    unknownCritical = view.unknownCritical
    count += 1
    ascending = ascending && isLess(bytes, start, end, view)
    start = view.serialStart
    end = view.serialEnd
  }
  return { count, ascending, unknownCritical: [...unknownCritical] }
}

function isLess(bytes: Uint8Array, start: number, end: number, { serialStart, serialEnd }: EntryView): boolean {
  if (end - start !== serialEnd - serialStart) return end - start < serialEnd - serialStart
  for (let index = 0; start + index < end; index += 1) {
    const difference = (bytes[start + index] ?? 0) - (bytes[serialStart + index] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** The entries, decoded one at a time. */
export function* readEntries(bytes: Uint8Array): Generator<CrlEntry> {
  for (const view of views(bytes)) yield decodeEntry(bytes, view)
}

/** Serials of `earlier` that are not in `later`; both checked and ascending. Linear, and allocates for what is missing only. */
export function* missingEntries(earlier: Uint8Array, later: Uint8Array): Generator<Serial> {
  let at = 0
  for (let offset = 0; offset < earlier.length; ) {
    const end = entryEnd(earlier, offset)
    let order = -1
    while (at < later.length) {
      order = compareSerials(later, at, earlier, offset)
      if (order >= 0) break
      at = entryEnd(later, at)
    }
    if (at >= later.length || order > 0) yield readEntries(earlier.subarray(offset, end)).next().value?.serial ?? ''
    else at = entryEnd(later, at)
    offset = end
  }
}

/**
 * `entries` with `added` put in and `dropped` left out: all three encoded, checked and ascending; of `dropped` the serials
 * count. Runs that stay are views of `entries`. Null where they do not fit together: one added that is there, one dropped that is not.
 */
export function mergeEntries(entries: Uint8Array, added: Uint8Array, dropped: Uint8Array): EncodedEntries | null {
  const merged: EncodedEntries = { chunks: [], bytes: 0, count: 0 }
  const take = (from: Uint8Array, start: number, end: number) => {
    if (start === end) return
    merged.chunks.push(from.subarray(start, end))
    merged.bytes += end - start
  }
  let run = 0
  let put = 0
  let left = 0
  for (let at = 0; at < entries.length; ) {
    for (let order = -1; put < added.length; ) {
      order = compareSerials(added, put, entries, at)
      if (order === 0) return null
      if (order > 0) break
      const end = entryEnd(added, put)
      take(entries, run, at)
      take(added, put, end)
      merged.count += 1
      run = at
      put = end
    }
    const end = entryEnd(entries, at)
    if (left < dropped.length && compareSerials(dropped, left, entries, at) === 0) {
      take(entries, run, at)
      run = end
      left = entryEnd(dropped, left)
    } else merged.count += 1
    at = end
  }
  take(entries, run, entries.length)
  take(added, put, added.length)
  for (; put < added.length; put = entryEnd(added, put)) merged.count += 1
  return left === dropped.length ? merged : null
}

const entryEnd = (bytes: Uint8Array, offset: number): number => {
  const length = contentLength(bytes, offset, bytes.length, tags.sequence)
  return offset + headerLength(length) + length
}

/** Positive: the serial of the entry of `a` at `at` is the larger one. A serial has less than 128 octets. */
const compareSerials = (a: Uint8Array, at: number, b: Uint8Array, offset: number): number => {
  let left = at + headerLength(contentLength(a, at, a.length, tags.sequence)) + 1
  let right = offset + headerLength(contentLength(b, offset, b.length, tags.sequence)) + 1
  const end = left + 1 + (a[left] ?? 0)
  // The length octet first: among minimal positive numbers the longer is the larger.
  for (; left < end; left += 1, right += 1) {
    const difference = (a[left] ?? 0) - (b[right] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The first entry with this serial, given as the content octets of its INTEGER, or null. Linear, without allocation. */
export function findEntry(bytes: Uint8Array, serial: Uint8Array): CrlEntry | null {
  for (const view of views(bytes)) {
    const { serialStart, serialEnd } = view
    if (serialEnd - serialStart !== serial.length) continue
    let index = serial.length - 1
    while (index >= 0 && bytes[serialStart + index] === serial[index]) index -= 1
    if (index < 0) return decodeEntry(bytes, view)
  }
  return null
}

/** The first serial that occurs twice, or null. Linear: a hash table of offsets, 8 to 16 octets an entry. */
export function findDuplicate(bytes: Uint8Array, count: number): Serial | null {
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(count + 1) + 1))
  for (const view of views(bytes)) {
    // From the length octet on, so that a serial never matches the beginning of a longer one.
    const start = view.serialStart - 1
    let slot = hash(bytes, start, view.serialEnd) & (slots.length - 1)
    for (let known = slots[slot] ?? 0; known !== 0; known = slots[slot] ?? 0) {
      if (isSame(bytes, known, start, view.serialEnd)) return decodeEntry(bytes, view).serial
      slot = (slot + 1) & (slots.length - 1)
    }
    slots[slot] = start
  }
  return null
}

/** FNV-1a, folded so that the low bits see the high ones. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5
  for (let index = start; index < end; index += 1) value = Math.imul(value ^ (bytes[index] ?? 0), 0x01000193)
  return value ^ (value >>> 15)
}

function isSame(bytes: Uint8Array, known: number, start: number, end: number): boolean {
  for (let index = 0; start + index < end; index += 1) if (bytes[known + index] !== bytes[start + index]) return false
  return true
}

function decodeEntry(bytes: Uint8Array, { serialStart, serialEnd, revokedAt, reason }: EntryView): CrlEntry {
  const start = bytes[serialStart] === 0 ? serialStart + 1 : serialStart
  return {
    serial: toHex(bytes.subarray(start, serialEnd)),
    revokedAt,
    reason: reasonNames.get(reason) ?? 'unspecified',
  }
}

function readEntry(bytes: Uint8Array, offset: number, view: EntryView): void {
  const length = contentLength(bytes, offset, bytes.length, tags.sequence)
  const start = offset + headerLength(length)
  view.end = start + length
  const rest = readTime(bytes, readSerial(bytes, start, view), view)
  view.reason = rest < view.end ? readReason(bytes, rest, view) : 0
}

/** The length of the content of the value at `offset`, which must have this tag. Its form was checked before. */
function contentLength(bytes: Uint8Array, offset: number, limit: number, tag: number): number {
  if (offset >= limit || bytes[offset] !== tag) throw malformed(offset, `expected tag 0x${tag.toString(16)}`)
  const first = bytes[offset + 1] ?? 0
  if (first < 0x80) return first
  let length = 0
  for (let index = 0; index < (first & 0x7f); index += 1) length = length * 256 + (bytes[offset + 2 + index] ?? 0)
  return length
}

/** Octets of tag and length. */
const headerLength = (length: number): number =>
  length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x10000 ? 4 : length < 0x1000000 ? 5 : 6

function readSerial(bytes: Uint8Array, offset: number, view: EntryView): number {
  const length = contentLength(bytes, offset, view.end, tags.integer)
  const start = offset + 2
  const first = bytes[start] ?? 0
  if (length < 1 || length > longestSerial)
    throw malformed(offset, `serial number of ${length} octets, it must have 1 to ${longestSerial}`)
  if (first >= 0x80) throw malformed(offset, 'the serial number is negative')
  if (first === 0 && length === 1) throw malformed(offset, 'the serial number is zero')
  if (first === 0 && (bytes[start + 1] ?? 0) < 0x80)
    throw malformed(offset, 'the serial number has a needless leading 00')
  view.serialStart = start
  view.serialEnd = start + length
  return view.serialEnd
}

function readTime(bytes: Uint8Array, offset: number, view: EntryView): number {
  const short = bytes[offset] === tags.utcTime
  const length = contentLength(bytes, offset, view.end, short ? tags.utcTime : tags.generalizedTime)
  const end = offset + 2 + length
  if (length !== (short ? 13 : 15) || bytes[end - 1] !== 0x5a) throw badTime(offset)
  const written = digits(bytes, offset + 2, end - 7)
  // A two-digit year from 50 on is of the last century (RFC 5280 §4.1.2.5.1).
  const date = short ? written + (written < 500_000 ? 20_000_000 : 19_000_000) : written
  let midnight = view.days.get(date)
  if (midnight === undefined) {
    midnight = midnightOf(date)
    view.days.set(date, midnight)
  }
  const hour = digits(bytes, end - 7, end - 5)
  const minute = digits(bytes, end - 5, end - 3)
  const second = digits(bytes, end - 3, end - 1)
  view.revokedAt = midnight + ((hour * 60 + minute) * 60 + second) * 1000
  if (Number.isNaN(view.revokedAt) || hour > 23 || minute > 59 || second > 59) throw badTime(offset)
  return end
}

const badTime = (offset: number) =>
  malformed(offset, 'the revocation date is not one of the calendar, written YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ')

/** NaN where one of them is no digit. */
function digits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let index = start; index < end; index += 1) {
    const digit = (bytes[index] ?? 0) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** NaN where the calendar has no such day. */
function midnightOf(date: number): Instant {
  const day = date % 100
  const month = Math.floor(date / 100) % 100
  const midnight = Date.UTC(Math.floor(date / 10_000), month - 1, day)
  const read = new Date(midnight)
  const same = read.getUTCFullYear() * 10_000 + (read.getUTCMonth() + 1) * 100 + read.getUTCDate() === date
  return same ? midnight : Number.NaN
}

/** Almost every entry has our own reason extension or none; any other takes the slow and thorough way. */
function readReason(bytes: Uint8Array, offset: number, view: EntryView): number {
  const code = bytes[view.end - 1] ?? 0
  if (view.end - offset === reasonPrefix.length + 1 && reasonNames.has(code) && hasReasonPrefix(bytes, offset))
    return code
  try {
    return readEntryExtensions(readDer(bytes.subarray(offset, view.end)), view)
  } catch (error) {
    throw malformed(offset, messageOf(error))
  }
}

function hasReasonPrefix(bytes: Uint8Array, offset: number): boolean {
  for (let index = 0; index < reasonPrefix.length; index += 1)
    if (bytes[offset + index] !== reasonPrefix[index]) return false
  return true
}

function readEntryExtensions(list: DerNode, view: EntryView): number {
  const extensions = readExtensions(expectTag(list, tags.sequence, 'entry extensions'))
  for (const [id, { critical }] of extensions) if (critical && id !== oid.reasonCode) view.unknownCritical.add(id)
  const value = extensions.get(oid.reasonCode)?.value
  const code = value === undefined ? 0 : readEnumerated(readDer(value), 'reason')
  // On hold is revoked until a later CRL says otherwise. removeFromCRL belongs in delta CRLs, which are not read here.
  if (reasonNames.has(code) || code === certificateHold) return code
  throw new ProtocolError(`reason ${code} is none that a complete CRL may give`)
}
