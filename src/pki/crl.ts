import { EverleafError } from '../errors.ts'
import type { Instant, Serial } from '../model.ts'
import type { DerNode } from '../protocol/der.ts'
import {
  contextConstructed,
  contextPrimitive,
  expectTag,
  integer,
  readDer,
  readFields,
  readInteger,
  readOctetBitString,
  readOnly,
  readSmallInteger,
  readTime,
  sequence,
  tags,
  time,
} from '../protocol/der.ts'
import { ProtocolError } from '../protocol/error.ts'
import { nameText } from '../protocol/name.ts'
import { oid } from '../protocol/oid.ts'
import { readingInput } from './bad-input.ts'
import type { ParsedCertificate } from './certificate.ts'
import type { CrlEntry, EncodedEntries } from './crl-entries.ts'
import { encodeEntries } from './crl-entries.ts'
import { findEntry, missingEntries, readEntries, scanEntries } from './crl-scan.ts'
import { encodeExtension, readAuthorityKeyIdentifier, readExtensions } from './extensions.ts'
import { sameBytes } from './same-bytes.ts'
import { serialToBytes } from './serial.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { algorithmIdentifier, readAlgorithm, verifySignature } from './signature.ts'

export type { CrlEntry, EncodedEntries } from './crl-entries.ts'

/** A complete CRL, version 2 (RFC 5280 §5). Instants are truncated to whole seconds. */
export interface CrlContent {
  signatureAlgorithm: SignatureAlgorithm
  /** Name, DER. */
  issuer: Uint8Array
  authorityKeyIdentifier: Uint8Array
  /** Positive, at most 20 octets; each CRL of one shard has a larger one than the last. */
  number: bigint
  thisUpdate: Instant
  nextUpdate: Instant
  /** In any order, no serial twice; read once. Those that are encoded already go in as they are. */
  entries: Iterable<CrlEntry> | EncodedEntries
}

/** What the signed part of a CRL says. */
export interface CrlFields {
  /** Name, DER. */
  issuer: Uint8Array
  issuerText: string
  /** Null: one that we do not know or do not trust. */
  signatureAlgorithm: SignatureAlgorithm | null
  number: bigint
  thisUpdate: Instant
  nextUpdate: Instant
  authorityKeyIdentifier: Uint8Array | null
  entryCount: number
  /** Serials grow from entry to entry, so none occurs twice. */
  ascending: boolean
  /** The DER of all entries, one after the other; checked. */
  entryBytes: Uint8Array
  /** Decodes one entry at a time; cannot fail. */
  entries(): Iterable<CrlEntry>
  /** Critical extensions, of the CRL or an entry, that are not processed here: such a CRL must not be relied on (RFC 5280 §5.2). */
  unknownCritical: string[]
}

export interface ParsedCrl extends CrlFields {
  der: Uint8Array
  tbs: Uint8Array
  signature: Uint8Array
}

/** A CRL number is positive and its INTEGER has 20 octets at most (RFC 5280 §5.2.3). */
export const largestCrlNumber = 2n ** 159n - 1n

/** 512 MiB: ten million revoked certificates. */
const limits = { bytes: 2 ** 29, depth: 12 }

/** The TBSCertList, in time and memory linear in the entries. `refused`: number, updates or an entry that no CRL can hold. */
export function crlToBeSigned(content: CrlContent): Uint8Array {
  refuseWrongContent(content)
  const { chunks, bytes, count } = 'chunks' in content.entries ? content.entries : encodeEntries(content.entries)
  const keyIdentifier = sequence(contextPrimitive(0, content.authorityKeyIdentifier))
  return sequence(
    integer(1),
    algorithmIdentifier(content.signatureAlgorithm),
    content.issuer,
    time(content.thisUpdate),
    time(content.nextUpdate),
    // Absent, not empty, where nothing is revoked (RFC 5280 §5.1.2.6).
    ...(count === 0 ? [] : [sequenceHeader(bytes), ...chunks]),
    contextConstructed(
      0,
      sequence(
        encodeExtension(oid.authorityKeyIdentifier, false, keyIdentifier),
        encodeExtension(oid.crlNumber, false, integer(content.number)),
      ),
    ),
  )
}

/** Tag and length of a SEQUENCE with so many octets of content, so that a large one is copied once, into the whole. */
function sequenceHeader(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tags.sequence, length)
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Uint8Array.of(tags.sequence, 0x80 | octets.length, ...octets)
}

function refuseWrongContent({ number, thisUpdate, nextUpdate }: CrlContent): void {
  if (number < 1n || number > largestCrlNumber)
    throw new EverleafError('refused', `CRL: number ${number}, it must be positive and have 20 octets at most`)
  for (const [name, instant] of Object.entries({ thisUpdate, nextUpdate })) {
    if (!(instant >= 0 && instant <= Date.UTC(9999, 11, 31)))
      throw new EverleafError('refused', `CRL: ${name} ${instant} is not an instant of the years 1970 to 9999`)
  }
  if (Math.floor(nextUpdate / 1000) <= Math.floor(thisUpdate / 1000))
    throw new EverleafError(
      'refused',
      `CRL: next update ${iso(nextUpdate)} must be later than this update ${iso(thisUpdate)}`,
    )
}

const iso = (instant: Instant): string => new Date(instant).toISOString()

/** Strict: v2, a CRL number, a next update. All entries are checked, none is kept as an object. `bad-input` on any fault. */
export const parseCrl = (der: Uint8Array): ParsedCrl =>
  readingInput('CRL', () => {
    const outer = readFields(readDer(der, limits), 'CertificateList')
    const tbs = outer.next('tbsCertList', tags.sequence)
    const algorithm = outer.next('signatureAlgorithm', tags.sequence)
    const signature = readOctetBitString(outer.next('signature'), 'signature')
    outer.end()
    return { der, tbs: tbs.bytes, signature, ...readTbs(tbs, algorithm) }
  })

function readTbs(tbs: DerNode, outerAlgorithm: DerNode): CrlFields {
  const fields = readFields(tbs, 'TBSCertList')
  const version = readSmallInteger(fields.next('version', tags.integer), 'version')
  if (version !== 1) throw new ProtocolError(`version v${version + 1}, expected v2`)
  const algorithm = fields.next('signature', tags.sequence)
  if (!sameBytes(algorithm.bytes, outerAlgorithm.bytes))
    throw new ProtocolError('the signature algorithm inside differs from the one outside')
  const issuer = fields.next('issuer', tags.sequence)
  const thisUpdate = readTime(fields.next('thisUpdate'), 'thisUpdate')
  const nextUpdate = readTime(fields.next('nextUpdate'), 'nextUpdate')
  if (nextUpdate <= thisUpdate)
    throw new ProtocolError(`next update ${iso(nextUpdate)} is not later than this update ${iso(thisUpdate)}`)
  const revoked = fields.optional(tags.sequence)
  if (revoked !== null && revoked.content.length === 0)
    throw new ProtocolError('an empty list of revoked certificates, which must be absent instead')
  const extensions = readCrlExtensions(fields.next('crlExtensions', 0xa0))
  fields.end()
  const entryBytes = revoked?.content ?? new Uint8Array(0)
  const scanned = scanEntries(entryBytes)
  return {
    issuer: issuer.bytes,
    issuerText: nameText(issuer.bytes),
    signatureAlgorithm: readAlgorithm(algorithm),
    number: extensions.number,
    thisUpdate,
    nextUpdate,
    authorityKeyIdentifier: extensions.authorityKeyIdentifier,
    entryCount: scanned.count,
    ascending: scanned.ascending,
    entryBytes,
    entries: () => ({ [Symbol.iterator]: () => readEntries(entryBytes) }),
    unknownCritical: [...extensions.unknownCritical, ...scanned.unknownCritical],
  }
}

function readCrlExtensions(node: DerNode) {
  const extensions = readExtensions(expectTag(readOnly(node, 'crlExtensions'), tags.sequence, 'crlExtensions'))
  const numberValue = extensions.get(oid.crlNumber)?.value
  if (numberValue === undefined) throw new ProtocolError('it has no CRL number')
  const keyValue = extensions.get(oid.authorityKeyIdentifier)?.value
  const known = new Set<string>([oid.crlNumber, oid.authorityKeyIdentifier])
  return {
    number: readNumber(readDer(numberValue)),
    authorityKeyIdentifier: keyValue === undefined ? null : readAuthorityKeyIdentifier(keyValue),
    unknownCritical: [...extensions].filter(([id, { critical }]) => critical && !known.has(id)).map(([id]) => id),
  }
}

function readNumber(node: DerNode): bigint {
  const number = readInteger(node, 'CRL number')
  if (number < 0n || number > largestCrlNumber)
    throw new ProtocolError(`CRL number ${number}, it must not be negative and have 20 octets at most`)
  return number
}

/**
 * Keeps what is small of a CRL that was read and checked, and returns it over another copy of the very same octets. The
 * caller has compared their digest; nothing is parsed again.
 */
export function detachCrl(crl: ParsedCrl): (der: Uint8Array) => ParsedCrl {
  const { der: original, tbs, entryBytes: entries, entries: _, ...small } = crl
  const kept = {
    ...small,
    issuer: crl.issuer.slice(),
    signature: crl.signature.slice(),
    authorityKeyIdentifier: crl.authorityKeyIdentifier?.slice() ?? null,
  }
  const extentOf = (part: Uint8Array): [number, number] =>
    part.length === 0
      ? [0, 0]
      : [part.byteOffset - original.byteOffset, part.byteOffset - original.byteOffset + part.length]
  const [tbsExtent, entryExtent] = [extentOf(tbs), extentOf(entries)]
  return attachTo(kept, tbsExtent, entryExtent)
}

/** Apart from `detachCrl`, so that what is returned does not hold on to the original octets. */
const attachTo =
  (
    kept: Omit<ParsedCrl, 'der' | 'tbs' | 'entryBytes' | 'entries'>,
    tbs: [number, number],
    entries: [number, number],
  ): ((der: Uint8Array) => ParsedCrl) =>
  (der) => {
    const entryBytes = der.subarray(...entries)
    return {
      ...kept,
      der,
      tbs: der.subarray(...tbs),
      entryBytes,
      entries: () => ({ [Symbol.iterator]: () => readEntries(entryBytes) }),
    }
  }

/** The entry of this serial, or null. Linear in the entries, at some ten million a second. */
export const findCrlEntry = (crl: ParsedCrl, serial: Serial): CrlEntry | null =>
  findEntry(crl.entryBytes, serialContent(serialToBytes(serial)))

const serialContent = (unsigned: Uint8Array): Uint8Array =>
  (unsigned[0] ?? 0) >= 0x80 ? Uint8Array.from([0, ...unsigned]) : unsigned

/** Serials of `earlier` that `later` lacks. Both in ascending order are compared in place, octet by octet. */
export function droppedSerials(earlier: CrlFields, later: CrlFields): Iterable<Serial> {
  if (earlier.ascending && later.ascending) return missingEntries(earlier.entryBytes, later.entryBytes)
  const present = new Set(Array.from(later.entries(), ({ serial }) => serial))
  return Array.from(earlier.entries(), ({ serial }) => serial).filter((serial) => !present.has(serial))
}

/** Whether `issuer` signed the CRL and may: names and key identifiers match, its key usage allows it, the signature is good. */
export function verifyCrl(crl: ParsedCrl, issuer: ParsedCertificate): boolean {
  if (!sameBytes(crl.issuer, issuer.subject) || issuer.authority === null) return false
  if (issuer.keyUsage !== null && !issuer.keyUsage.includes('cRLSign')) return false
  if (
    crl.authorityKeyIdentifier !== null &&
    issuer.subjectKeyIdentifier !== null &&
    !sameBytes(crl.authorityKeyIdentifier, issuer.subjectKeyIdentifier)
  )
    return false
  if (crl.signatureAlgorithm === null) return false
  return verifySignature({
    spki: issuer.spki,
    algorithm: crl.signatureAlgorithm,
    data: crl.tbs,
    signature: crl.signature,
  })
}
