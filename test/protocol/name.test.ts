import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { objectIdentifier, sequence, set, utf8String } from '../../src/protocol/der.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { toHex } from '../../src/protocol/hex.ts'
import type { NameAttribute } from '../../src/protocol/name.ts'
import { emptyName, encodeName, isNameAttribute, nameText, readName } from '../../src/protocol/name.ts'
import { oid } from '../../src/protocol/oid.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'

const commonName = (value: Uint8Array) => sequence(objectIdentifier(oid.commonName), value)

describe('a name', () => {
  it('is written from the root down and shown from the leaf up', () => {
    const name = encodeName([
      ['C', 'CH'],
      ['O', 'Example AG'],
      ['CN', 'device-1'],
    ])
    expect(nameText(name)).toBe('CN=device-1,O=Example AG,C=CH')
    expect(readName(name)).toEqual([
      ['C', 'CH'],
      ['O', 'Example AG'],
      ['CN', 'device-1'],
    ])
  })

  it('has the string types of RFC 5280', () => {
    expect(toHex(encodeName([['C', 'CH']]))).toBe('300d310b3009060355040613024348')
    expect(toHex(encodeName([['CN', 'a']]))).toBe('300c310a300806035504030c0161')
    expect(toHex(encodeName([['serialNumber', '7']]))).toContain('130137')
    expect(toHex(encodeName([['DC', 'example']]))).toContain('16076578616d706c65')
  })

  it('may be empty', () => {
    expect(encodeName([])).toEqual(emptyName)
    expect(nameText(emptyName)).toBe('')
    expect(readName(emptyName)).toEqual([])
  })

  const texts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => [...text].length <= 64)

  it('is read back whatever its text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(readName(encodeName([['CN', text]]))).toEqual([['CN', text]])
      }),
    )
  })

  it('is shown without control characters and so that no value reads like two', () => {
    fc.assert(
      fc.property(texts, texts, (first, second) => {
        const shown = nameText(
          encodeName([
            ['O', first],
            ['CN', second],
          ]),
        )
        expect(shown).not.toMatch(/\p{Cc}/u)
        expect(shown.split(/(?<!\\)(?:\\\\)*,/)).toHaveLength(2)
      }),
    )
  })

  it.each([
    ['a,b', 'CN=a\\,b'],
    ['a+b', 'CN=a\\+b'],
    ['a"b\\c', 'CN=a\\"b\\\\c'],
    ['<a>;', 'CN=\\<a\\>\\;'],
    ['#a', 'CN=\\#a'],
    [' a ', 'CN=\\ a\\ '],
    [' ', 'CN=\\ '],
    ['a\\ ', 'CN=a\\\\\\ '],
    ['a\0b', 'CN=a\\00b'],
    ['a\nb', 'CN=a\\0ab'],
    ['\u202ea', 'CN=\\e2\\80\\aea'],
    ['Zürich', 'CN=Zürich'],
  ])('with %j is shown as %s', (value, text) => {
    expect(nameText(encodeName([['CN', value]]))).toBe(text)
  })

  it('shows attributes that it does not know, values that are no strings, and several attributes in one RDN', () => {
    const unknown = sequence(objectIdentifier('1.2.3.4'), utf8String('x'))
    const number = sequence(objectIdentifier(oid.organizationName), hex('020101'))
    const name = sequence(set(unknown), set(number), set(commonName(utf8String('a')), number))
    expect(nameText(name)).toBe('CN=a+O=#020101,O=#020101,1.2.3.4=#0c0178')
    expect(readName(name)[0]).toEqual(['1.2.3.4', 'x'])
    expect(readName(name)[1]).toEqual(['O', '#020101'])
  })

  const bad: Array<[string, NameAttribute, string]> = [
    ['a country in words', 'C', 'Switzerland'],
    ['a country in lower case', 'C', 'ch'],
    ['an empty value', 'CN', ''],
    ['a value that is too long', 'CN', 'x'.repeat(65)],
    ['a serial number with an at sign', 'serialNumber', '@'],
    ['a domain component with an umlaut', 'DC', 'ü'],
    ['half a surrogate pair', 'CN', '\ud800'],
  ]
  it.each(bad)('is not written with %s', (_, attribute, value) => {
    expect(() => encodeName([[attribute, value]])).toThrow(ProtocolError)
  })

  it('takes 64 characters, not 64 octets', () => {
    expect(readName(encodeName([['CN', '😀'.repeat(64)]]))).toEqual([['CN', '😀'.repeat(64)]])
  })

  it.each([
    ['an RDN without attributes', sequence(set())],
    ['an attribute without a value', sequence(set(sequence(objectIdentifier(oid.commonName))))],
    [
      'an attribute with two values',
      sequence(set(sequence(objectIdentifier(oid.commonName), utf8String('a'), utf8String('b')))),
    ],
    ['a SEQUENCE where a SET should be', sequence(sequence(commonName(utf8String('a'))))],
    ['a SET where a SEQUENCE should be', set(set(commonName(utf8String('a'))))],
    ['UTF-8 that is none', sequence(set(commonName(hex('0c01ff'))))],
    ['too many RDNs', sequence(...Array.from({ length: 65 }, () => set(commonName(utf8String('a')))))],
  ])('is refused with %s', (_, der) => {
    expect(() => nameText(der)).toThrow(ProtocolError)
    expect(() => readName(der)).toThrow(ProtocolError)
  })

  it('knows its attributes', () => {
    expect(isNameAttribute('CN')).toBe(true)
    expect(isNameAttribute('cn')).toBe(false)
    expect(isNameAttribute('constructor')).toBe(false)
  })

  it('that was damaged is shown or refused', () => {
    const name = encodeName([
      ['C', 'CH'],
      ['O', 'Example'],
      ['CN', 'device-1'],
    ])
    fc.assert(
      fc.property(mutationsOf(name), (bytes) => {
        try {
          expect(nameText(bytes)).not.toMatch(/\p{Cc}/u)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})
