import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normaliseSerial, serialFromBytes, serialFromInteger, serialToBytes } from '../../src/pki/serial.ts'
import { integer, readDer, readIntegerBytes } from '../../src/protocol/der.ts'
import { hex } from '../fixtures/bytes.ts'

const random = fc.uint8Array({ minLength: 16, maxLength: 16 })

describe('a new serial', () => {
  it('has 16 octets of which the first two bits are 01, whatever the chance', () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const serial = serialFromBytes(bytes)
        expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/)
        expect(readDer(integer(serialToBytes(serial))).content).toHaveLength(16)
      }),
    )
  })

  it('keeps the other 126 bits and leaves the given bytes alone', () => {
    const bytes = new Uint8Array(16).fill(0xff)
    expect(serialFromBytes(bytes)).toBe(`7f${'ff'.repeat(15)}`)
    expect(bytes[0]).toBe(0xff)
  })

  it('is not made of another number of bytes', () => {
    expect(() => serialFromBytes(new Uint8Array(15))).toThrow(/15 random bytes, expected 16/)
  })
})

describe('a serial is normalised', () => {
  it.each([
    ['03A5B1', '03a5b1'],
    ['00:11:22', '1122'],
    ['a1:a1:01', 'a1a101'],
    ['00936EACBE07F201DF', '936eacbe07f201df'],
    ['0x0A', '0a'],
    ['A', '0a'],
    ['abc', '0abc'],
    ['0', '00'],
    ['00', '00'],
    ['0000', '00'],
    ['000001', '01'],
    ['0a 1b 2c', '0a1b2c'],
    [' 0a\n', '0a'],
  ])('from %j to %s', (text, serial) => {
    expect(normaliseSerial(text)).toBe(serial)
  })

  it('from decimal when told so', () => {
    expect(normaliseSerial('286535153982981100925020015808220737245', { decimal: true })).toBe(
      'd790a9cf2db26a24c7b97fb672b7aedd',
    )
    expect(normaliseSerial('10', { decimal: true })).toBe('0a')
    expect(normaliseSerial('0', { decimal: true })).toBe('00')
  })

  it('to the same from every way to write it', () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const serial = serialFromBytes(bytes)
        const pairs = serial.match(/../g) ?? []
        for (const text of [
          serial,
          serial.toUpperCase(),
          `00${serial}`,
          `0x${serial}`,
          pairs.join(':'),
          `00:${pairs.join(':')}`.toUpperCase(),
        ]) {
          expect(normaliseSerial(text)).toBe(serial)
        }
        expect(normaliseSerial(BigInt(`0x${serial}`).toString(), { decimal: true })).toBe(serial)
      }),
    )
  })

  it.each(['', 'xyz', '-1', '0x', ':', '0a:', ':0a', '0a::0b', '1.5', '0a-0b', 'ff'.repeat(33), '1'.repeat(300)])(
    'but not from "%s"',
    (text) => {
      expect(() => normaliseSerial(text)).toThrow(expect.objectContaining({ code: 'bad-input' }))
    },
  )

  it.each(['', '0a', '-1', '1e3', '9'.repeat(79)])('and not from the decimal "%s"', (text) => {
    expect(() => normaliseSerial(text, { decimal: true })).toThrow(expect.objectContaining({ code: 'bad-input' }))
  })
})

describe('a serial of an INTEGER', () => {
  it('is written without the sign octet and back', () => {
    expect(serialFromInteger(hex('0087654321'))).toBe('87654321')
    expect(serialFromInteger(hex('00'))).toBe('00')
    expect(serialFromInteger(255n)).toBe('ff')
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 160n }), (value) => {
        const serial = serialFromInteger(value)
        expect(readIntegerBytes(readDer(integer(serialToBytes(serial))))).toEqual(
          readIntegerBytes(readDer(integer(value))),
        )
        expect(serialFromInteger(readIntegerBytes(readDer(integer(value))))).toBe(serial)
      }),
    )
  })

  it.each([
    ['negative', hex('ff')],
    ['empty', hex('')],
    ['far too long', new Uint8Array(34).fill(1)],
    ['negative as a number', -1n],
  ])('is refused when it is %s', (_, value) => {
    expect(() => serialFromInteger(value)).toThrow(expect.objectContaining({ code: 'bad-input' }))
  })
})
