import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bitString,
  boolean,
  enumerated,
  ia5String,
  integer,
  namedBitString,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  readBitString,
  readBoolean,
  readDer,
  readEnumerated,
  readFields,
  readInteger,
  readIntegerBytes,
  readNull,
  readObjectIdentifier,
  readOctetBitString,
  readOctetString,
  readOnly,
  readSmallInteger,
  readString,
  readTime,
  sequence,
  tags,
  time,
  utf8String,
} from '../../src/protocol/der.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { hex } from '../fixtures/bytes.ts'

const node = (text: string) => readDer(hex(text))

describe('integers', () => {
  it.each([
    [0, '020100'],
    [1, '020101'],
    [127, '02017f'],
    [128, '02020080'],
    [255, '020200ff'],
    [256, '02020100'],
    [-1, '0201ff'],
    [-128, '020180'],
    [-129, '0202ff7f'],
    [2n ** 64n, '0209010000000000000000'],
  ])('writes %s', (value, text) => {
    expect(toHex(integer(value))).toBe(text)
    expect(readInteger(node(text))).toBe(BigInt(value))
  })

  it('writes unsigned bytes with the sign octet that they need and no other', () => {
    expect(toHex(integer(hex('80')))).toBe('02020080')
    expect(toHex(integer(hex('0000 7f')))).toBe('02017f')
    expect(toHex(integer(hex('00')))).toBe('020100')
    expect(toHex(integer(hex('')))).toBe('020100')
  })

  it('reads back every integer', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
        (value) => readInteger(readDer(integer(value))) === value,
      ),
    )
  })

  it.each([
    ['no octets', '0200'],
    ['a needless zero', '0202007f'],
    ['a needless 0xff', '0202ff80'],
    ['another type', '040101'],
  ])('refuses %s', (_, text) => {
    expect(() => readInteger(node(text))).toThrow(ProtocolError)
    expect(() => readIntegerBytes(node(text))).toThrow(ProtocolError)
  })

  it('refuses small integers that are negative or large', () => {
    expect(readSmallInteger(node('02047fffffff'))).toBe(2 ** 31 - 1)
    expect(() => readSmallInteger(node('0201ff'))).toThrow(/from 0 to/)
    expect(() => readSmallInteger(node('02050080000000'))).toThrow(/from 0 to/)
    expect(readEnumerated(readDer(enumerated(4)))).toBe(4)
    expect(() => readEnumerated(node('0a020001'))).toThrow(/needless/)
  })
})

describe('object identifiers', () => {
  it.each([
    ['2.5.4.3', '0603550403'],
    ['1.2.840.113549.1.1.11', '06092a864886f70d01010b'],
    ['0.9.2342.19200300.100.1.25', '060a0992268993f22c640119'],
    ['2.999.1', '0603883701'],
    ['1.39', '06014f'],
    ['2.0', '060150'],
  ])('writes and reads %s', (text, encoded) => {
    expect(toHex(objectIdentifier(text))).toBe(encoded)
    expect(readObjectIdentifier(node(encoded))).toBe(text)
  })

  it('reads back every identifier', () => {
    const arcs = fc.tuple(fc.nat(2), fc.nat(39), fc.array(fc.nat({ max: 2 ** 48 }), { maxLength: 6 }))
    fc.assert(
      fc.property(arcs, ([first, second, rest]) => {
        const text = [first, second, ...rest].join('.')
        return readObjectIdentifier(readDer(objectIdentifier(text))) === text
      }),
    )
  })

  it.each([
    ['an arc with a leading zero', '0603558003'],
    ['an arc that is cut off', '06025584'],
    ['nothing', '0600'],
    ['an arc that no number holds', `060c55${'ff'.repeat(10)}7f`],
    ['far too many octets', `0640${'55'.repeat(64)}`],
  ])('refuses to read %s', (_, text) => {
    expect(() => readObjectIdentifier(node(text))).toThrow(ProtocolError)
  })

  it.each(['', '1', '3.1', '1.40', '1.2.', '1.02', '1.-2', 'a.b', `1.2.${'1'.repeat(300)}`])(
    'refuses to write "%s"',
    (text) => {
      expect(() => objectIdentifier(text)).toThrow(ProtocolError)
    },
  )
})

describe('booleans, bits and octets', () => {
  it('reads booleans of 0x00 and 0xff only', () => {
    expect(readBoolean(readDer(boolean(true)))).toBe(true)
    expect(readBoolean(readDer(boolean(false)))).toBe(false)
    for (const text of ['010101', '0100', '01020000']) expect(() => readBoolean(node(text))).toThrow(ProtocolError)
  })

  it('reads NULL without content only', () => {
    expect(readNull(readDer(nullValue()))).toBe(null)
    expect(() => readNull(node('050100'))).toThrow(/content/)
  })

  it('writes named bits without zeros at the end', () => {
    expect(toHex(namedBitString([0]))).toBe('03020780')
    expect(toHex(namedBitString([5, 6]))).toBe('03020106')
    expect(toHex(namedBitString([8, 0]))).toBe('0303078080')
    expect(toHex(namedBitString([]))).toBe('030100')
  })

  it('reads bit strings and refuses padding that is not zero', () => {
    expect(readBitString(readDer(bitString(hex('a0'), 5)))).toEqual({ bytes: hex('a0'), unusedBits: 5 })
    expect(readOctetBitString(readDer(bitString(hex('0102'))))).toEqual(hex('0102'))
    expect(readBitString(node('030100')).bytes.length).toBe(0)
    for (const text of ['0300', '030108', '030101', '03020101', '030301ff81', '0302ff00']) {
      expect(() => readBitString(node(text))).toThrow(ProtocolError)
    }
    expect(() => readOctetBitString(node('03020106'))).toThrow(/whole octets/)
  })

  it('reads octet strings', () => {
    expect(readOctetString(readDer(octetString(hex('01'), hex('02'))))).toEqual(hex('0102'))
    expect(() => readOctetString(node('0500'))).toThrow(/expected octetString, found nullValue/)
  })
})

describe('strings', () => {
  it.each([
    ['UTF8String', '0c03c3a962', 'éb'],
    ['PrintableString', '130141', 'A'],
    ['PrintableString with an at sign', '130140', '@'],
    ['IA5String', '160140', '@'],
    ['TeletexString', '1401e9', 'é'],
    ['BMPString', '1e0400e90041', 'éA'],
    ['UniversalString', '1c040001f600', '😀'],
    ['NumericString', '120131', '1'],
    ['a byte order mark as it stands', '0c03efbbbf', '\ufeff'],
  ])('reads %s', (_, text, expected) => {
    expect(readString(node(text))).toBe(expected)
  })

  it.each([
    ['UTF-8 that is none', '0c01ff'],
    ['UTF-8 in overlong form', '0c02c0af'],
    ['a surrogate in UTF-8', '0c03eda080'],
    ['a PrintableString with a control character', '130101'],
    ['an IA5String of eight bits', '160180'],
    ['half a BMPString character', '1e03004100'],
    ['a surrogate in a BMPString', '1e02d800'],
    ['a code over 0x10ffff', '1c0400110000'],
    ['a type that is no string', '0500'],
  ])('refuses %s', (_, text) => {
    expect(() => readString(node(text))).toThrow(ProtocolError)
  })

  it('reads back every text that it writes', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => readString(readDer(utf8String(text))) === text))
    expect(readString(readDer(ia5String('a@b')))).toBe('a@b')
    expect(readString(readDer(printableString("a'b")))).toBe("a'b")
  })

  it('refuses to write what the type cannot hold', () => {
    expect(() => printableString('a@b')).toThrow(ProtocolError)
    expect(() => ia5String('é')).toThrow(ProtocolError)
    expect(() => utf8String('\ud800')).toThrow(ProtocolError)
  })
})

describe('times', () => {
  const ascii = (tag: string, text: string) =>
    node(`${tag}${text.length.toString(16).padStart(2, '0')}${Buffer.from(text).toString('hex')}`)

  it.each([
    ['1950-01-01T00:00:00Z', '170d3530303130313030303030305a'],
    ['1999-12-31T23:59:59Z', '170d3939313233313233353935395a'],
    ['2000-02-29T12:30:45Z', '170d3030303232393132333034355a'],
    ['2049-12-31T23:59:59Z', '170d3439313233313233353935395a'],
    ['2050-01-01T00:00:00Z', '180f32303530303130313030303030305a'],
    ['9999-12-31T23:59:59Z', '180f39393939313233313233353935395a'],
  ])('writes %s as RFC 5280 says', (text, encoded) => {
    expect(toHex(time(Date.parse(text)))).toBe(encoded)
    expect(readTime(node(encoded))).toBe(Date.parse(text))
  })

  it('reads back every instant cut to the second', () => {
    const instants = fc.integer({ min: -631_152_000_000, max: 253_402_300_799_999 })
    fc.assert(
      fc.property(instants, (instant) => readTime(readDer(time(instant))) === Math.floor(instant / 1000) * 1000),
    )
  })

  it.each([Number.NaN, -631_152_000_001, 253_402_300_800_000, Number.POSITIVE_INFINITY])(
    'refuses to write %s',
    (instant) => {
      expect(() => time(instant)).toThrow(ProtocolError)
    },
  )

  it.each([
    ['17', '2601010000Z'],
    ['17', '260101000000+0000'],
    ['17', '260101000000'],
    ['17', '260230000000Z'],
    ['17', '250229000000Z'],
    ['17', '260001000000Z'],
    ['17', '261301000000Z'],
    ['17', '260100000000Z'],
    ['17', '260101240000Z'],
    ['17', '260101006000Z'],
    ['17', '260101000060Z'],
    ['17', '26010100000aZ'],
    ['17', ' 60101000000Z'],
    ['17', '-60101000000Z'],
    ['18', '20500101000000.5Z'],
    ['18', '00500101000000Z'],
    ['18', '205001010000Z'],
    ['18', '20500101000000z'],
    ['04', '260101000000Z'],
  ])('refuses to read %s %s', (tag, text) => {
    expect(() => readTime(ascii(tag, text))).toThrow(ProtocolError)
  })
})

describe('the fields of a sequence', () => {
  const fields = () => readFields(readDer(sequence(integer(1), boolean(true))), 'Pair')

  it('are taken in order and named in errors', () => {
    const pair = fields()
    expect(pair.optional(tags.octetString)).toBe(null)
    expect(readInteger(pair.next('first'))).toBe(1n)
    expect(() => pair.next('second', tags.set)).toThrow('second at 5: expected set, found boolean')
  })

  it('end where they end', () => {
    const pair = fields()
    pair.next('first')
    expect(() => pair.end()).toThrow('Pair at 5: an element too many: boolean')
    expect(pair.optional()?.tag).toBe(tags.boolean)
    pair.end()
    expect(pair.optional()).toBe(null)
    expect(() => pair.next('third')).toThrow('Pair at 0: ends before third')
  })

  it('need a constructed value of the right tag', () => {
    expect(() => readFields(node('0500'), 'Pair')).toThrow('Pair at 0: expected sequence, found nullValue')
    expect(() => readOnly(node('a0040500 0500'), 'version')).toThrow('version at 0: expected one element, found 2')
    expect(() => readOnly(node('a000'), 'version')).toThrow('expected one element, found 0')
  })
})
