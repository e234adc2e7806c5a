import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeBase64,
  decodeBase64Url,
  encodeBase64,
  encodeBase64Lines,
  encodeBase64Url,
} from '../../src/protocol/base64.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { fromHex, toHex } from '../../src/protocol/hex.ts'

const bytes = fc.uint8Array({ maxLength: 200 })

describe('base64', () => {
  it('is what Node writes', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(encodeBase64(value)).toBe(Buffer.from(value).toString('base64'))
        expect(encodeBase64Url(value)).toBe(Buffer.from(value).toString('base64url'))
      }),
    )
  })

  it('is read back, in lines of any width and with any line ends', () => {
    fc.assert(
      fc.property(
        bytes,
        fc.integer({ min: 1, max: 80 }),
        fc.constantFrom('\n', '\r\n', ' \t\n'),
        (value, width, end) => {
          expect(decodeBase64(encodeBase64Lines(value, width).replaceAll('\n', end))).toEqual(value)
          expect(decodeBase64Url(encodeBase64Url(value))).toEqual(value)
        },
      ),
    )
  })

  it('is wrapped at 76 columns with a line end after the last line', () => {
    const lines = encodeBase64Lines(new Uint8Array(60))
    expect(lines.split('\n').map((line) => line.length)).toEqual([76, 4, 0])
    expect(encodeBase64Lines(new Uint8Array(0))).toBe('')
  })

  it.each([
    ['a character outside the alphabet', 'AA$='],
    ['a character of the other alphabet', 'AA-_'],
    ['a NUL', 'AAA\0'],
    ['a letter with an accent', 'AAAé'],
    ['a full-width letter', 'AAAＡ'],
    ['no padding', 'AA'],
    ['too little padding', 'AA='],
    ['too much padding', 'AAA=='],
    ['padding of nothing', '===='],
    ['padding after whole groups', 'AAAA='],
    ['one digit over', 'AAAAA'],
    ['digits after the padding', 'AA==AAAA'],
    ['padding in the middle', 'A=AA'],
    ['bits left over in two digits', 'AB=='],
    ['bits left over in three digits', 'AAB='],
  ])('refuses %s', (_, text) => {
    expect(() => decodeBase64(text)).toThrow(ProtocolError)
  })

  it.each(['AA==', 'AA+/', 'A A', 'AB', 'A', 'AA\n'])('for URLs refuses "%s"', (text) => {
    expect(() => decodeBase64Url(text)).toThrow(ProtocolError)
  })

  it('has one text for each value', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABQgw9+/=') }), (text) => {
        try {
          expect(encodeBase64(decodeBase64(text))).toBe(text)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('hexadecimal', () => {
  it('is written in lower case and read in either', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(toHex(value)).toBe(Buffer.from(value).toString('hex'))
        expect(fromHex(toHex(value))).toEqual(value)
        expect(fromHex(toHex(value).toUpperCase())).toEqual(value)
      }),
    )
  })

  it.each(['0', '0g', ' 00', '0x00', '00:00', 'é0', '0G', '@0', '`0'])('refuses "%s"', (text) => {
    expect(() => fromHex(text)).toThrow(ProtocolError)
  })
})
