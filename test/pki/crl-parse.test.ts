import { describe, expect, test } from 'vitest'
import type { CrlEntry } from '../../src/pki/crl.ts'
import { crlToBeSigned, parseCrl } from '../../src/pki/crl.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import { assembleSigned } from '../../src/pki/signature.ts'
import {
  contextConstructed,
  enumerated,
  integer,
  octetString,
  readDer,
  sequence,
  time,
} from '../../src/protocol/der.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import { oid } from '../../src/protocol/oid.ts'
import { makeAuthority } from '../support/certificates.ts'
import { crlContent, day, makeCrl, signCrl, thisUpdate } from './crl-builders.ts'

const period = { notBefore: thisUpdate - 365 * day, notAfter: thisUpdate + 365 * day }
const authority = makeAuthority({ name: 'Issuing G1', ...period })

const entry = (serial: string, change: Partial<CrlEntry> = {}): CrlEntry => ({
  serial,
  revokedAt: thisUpdate - day,
  reason: 'unspecified',
  ...change,
})

/** A CRL around raw entries, for those that the encoder would never write. */
const withEntries = (...entries: Uint8Array[]): Uint8Array =>
  withFields((fields) => [...fields.slice(0, 5), sequence(...entries), ...fields.slice(5)])

const withFields = (edit: (fields: Uint8Array[]) => Uint8Array[]): Uint8Array =>
  signCrl(
    authority,
    sequence(...edit(readDer(crlToBeSigned(crlContent(authority))).children.map(({ bytes }) => bytes))),
  )

const withNumber = (number: Uint8Array): Uint8Array =>
  withFields((fields) => fields.with(5, contextConstructed(0, sequence(encodeExtension(oid.crlNumber, false, number)))))

const rawEntry = (serial: Uint8Array, ...extensions: Uint8Array[]): Uint8Array =>
  sequence(serial, time(thisUpdate), ...(extensions.length === 0 ? [] : [sequence(...extensions)]))

describe('the parser', () => {
  const serial = integer(0x40)
  test.each<[string, Uint8Array, RegExp]>([
    ['version 1', withFields((fields) => fields.slice(1)), /version/],
    ['version 3', withFields(([, ...rest]) => [integer(2), ...rest]), /v3, expected v2/],
    ['no next update', withFields((fields) => fields.toSpliced(4, 1)), /nextUpdate/],
    ['a next update that is not later', withFields((fields) => fields.with(4, time(thisUpdate))), /not later/],
    ['an empty list of entries', withEntries(), /empty list/],
    ['no extensions', withFields((fields) => fields.slice(0, 5)), /crlExtensions/],
    [
      'no CRL number',
      withFields((fields) =>
        fields.with(5, contextConstructed(0, sequence(encodeExtension('1.2.3', false, Uint8Array.of(5, 0))))),
      ),
      /no CRL number/,
    ],
    [
      'another algorithm outside than inside',
      assembleSigned(crlToBeSigned(crlContent(authority)), 'rsa-sha256', new Uint8Array(8)),
      /differs/,
    ],
    ['something after the extensions', withFields((fields) => [...fields, integer(1)]), /too many|expected/],
    [
      'an entry extension of 64 KiB',
      withEntries(rawEntry(serial, encodeExtension('1.2.3', false, octetString(new Uint8Array(65_536))))),
      /65536 at most/,
    ],
    ['a negative CRL number', withNumber(integer(-1)), /number -1/],
    ['a CRL number of 21 octets', withNumber(integer(2n ** 159n)), /20 octets/],
    ['a serial of -128', withEntries(rawEntry(integer(-128))), /negative/],
    ['an empty serial', withEntries(rawEntry(Uint8Array.of(2, 0))), /0 octets/],
    ['an empty entry', withEntries(sequence(), rawEntry(integer(0x40))), /expected tag 0x2/],
    ['an entry that is no sequence', withEntries(integer(1)), /expected tag 0x30/],
    [
      'a length in more octets than it needs',
      withEntries(fromHex('308113020140170d3236303630313132303030305a')),
      /fewer/,
    ],
    ['an entry that reaches past the end', withEntries(fromHex('3013020140170d3236303630313132303030')), /claims/],
    ['a negative serial', withEntries(rawEntry(integer(-1))), /negative/],
    ['a serial of zero', withEntries(rawEntry(integer(0))), /zero/],
    ['a serial with a needless zero', withEntries(rawEntry(Uint8Array.of(2, 2, 0, 0x40))), /needless/],
    ['a serial of 34 octets', withEntries(rawEntry(integer(2n ** 270n))), /34 octets/],
    ['an entry without a date', withEntries(sequence(serial)), /expected tag/],
    ['30 February', withEntries(sequence(serial, fromHex('170d3236303233303132303030305a'))), /calendar/],
    ['29 February of 2100', withEntries(sequence(serial, fromHex('180f32313030303232393132303030305a'))), /calendar/],
    ['a 25th hour', withEntries(sequence(serial, fromHex('170d3236303630313234303030305a'))), /calendar/],
    ['a date without seconds', withEntries(sequence(serial, fromHex('170b323630363031313230305a'))), /calendar/],
    [
      'a date with a zone',
      withEntries(sequence(serial, fromHex('17113236303630313132303030302b30303030'))),
      /calendar/,
    ],
    ['a letter in a date', withEntries(sequence(serial, fromHex('170d3236303630313132303030615a'))), /calendar/],
    ['a slash in a date', withEntries(sequence(serial, fromHex('170d32363036303131323030312f5a'))), /calendar/],
    ['a 60th minute', withEntries(sequence(serial, fromHex('170d3236303630313132363030305a'))), /calendar/],
    ['a 60th second', withEntries(sequence(serial, fromHex('170d3236303630313132303036305a'))), /calendar/],
    ['a date that ends in z', withEntries(sequence(serial, fromHex('170d3236303630313132303030307a'))), /calendar/],
    [
      'removeFromCRL in a complete CRL',
      withEntries(rawEntry(serial, encodeExtension(oid.reasonCode, false, enumerated(8)))),
      /reason 8/,
    ],
    [
      'an unknown reason',
      withEntries(rawEntry(serial, encodeExtension(oid.reasonCode, false, enumerated(7)))),
      /reason 7/,
    ],
    [
      'a reason twice',
      withEntries(rawEntry(serial, ...[1, 1].map((code) => encodeExtension(oid.reasonCode, false, enumerated(code))))),
      /twice/,
    ],
    ['an empty list of entry extensions', withEntries(sequence(serial, time(thisUpdate), sequence())), /allowed/],
    ['octets after it', Uint8Array.from([...makeCrl(authority).der, 0]), /follow/],
    ['nothing', new Uint8Array(0), /./],
  ])('refuses %s', (_, der, message) => {
    expect(() => parseCrl(der)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(message) }),
    )
  })

  test.each([33, 90, 127, 200, 300, 60_000])('reads past an unknown entry extension of %i octets', (length) => {
    const unknown = encodeExtension('1.2.3', false, octetString(new Uint8Array(length)))
    const crl = parseCrl(withEntries(rawEntry(serial, unknown), rawEntry(integer(0x41))))
    expect([...crl.entries()].map(({ serial: read }) => read)).toEqual(['40', '41'])
    expect(crl.unknownCritical).toEqual([])
  })

  test('takes no other extension of the same size for a reason', () => {
    const crl = parseCrl(withEntries(rawEntry(serial, encodeExtension('2.5.29.22', false, enumerated(1)))))
    expect([...crl.entries()][0]?.reason).toBe('unspecified')
  })

  test('reads a serial as long as those of certificates may be', () => {
    const crl = parseCrl(withEntries(rawEntry(integer(2n ** 255n))))
    expect([...crl.entries()][0]?.serial).toBe(`80${'00'.repeat(31)}`)
  })

  test('takes an entry on hold for revoked', () => {
    const der = withEntries(rawEntry(serial, encodeExtension(oid.reasonCode, false, enumerated(6))))
    expect([...parseCrl(der).entries()]).toEqual([{ serial: '40', revokedAt: thisUpdate, reason: 'unspecified' }])
  })

  test('reads past entry extensions that are not critical and tells of those that are', () => {
    const date = encodeExtension(oid.invalidityDate, false, fromHex('180f32303236303630313132303030305a'))
    const issuer = encodeExtension(oid.certificateIssuer, true, sequence())
    const reason = encodeExtension(oid.reasonCode, false, enumerated(1))
    const crl = parseCrl(withEntries(rawEntry(serial, date, reason), rawEntry(integer(0x41), issuer)))
    expect([...crl.entries()].map(({ reason: read }) => read)).toEqual(['keyCompromise', 'unspecified'])
    expect(crl.unknownCritical).toEqual([oid.certificateIssuer])
  })

  test('tells of critical extensions of the CRL, such as those of delta and partial CRLs', () => {
    const der = withFields((fields) => {
      const list = readDer(fields[5] ?? new Uint8Array(0)).children[0]?.children.map(({ bytes }) => bytes) ?? []
      const delta = encodeExtension(oid.deltaCrlIndicator, true, integer(1))
      const harmless = encodeExtension('1.2.3', false, integer(1))
      return fields.with(5, contextConstructed(0, sequence(...list, harmless, delta)))
    })
    expect(parseCrl(der).unknownCritical).toEqual([oid.deltaCrlIndicator])
  })

  test('knows ascending serials from others', () => {
    const ascending = (...serials: string[]) =>
      makeCrl(authority, { entries: serials.map((one) => entry(one)) }).ascending
    expect(ascending()).toBe(true)
    expect(ascending('40', '41', 'ff', '0100', '4000')).toBe(true)
    expect(ascending('41', '40')).toBe(false)
    expect(ascending('40', '40')).toBe(false)
    expect(ascending('4000', '41')).toBe(false)
  })
})
