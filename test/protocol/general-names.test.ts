import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../src/protocol/error.ts'
import { encodeGeneralNames, readGeneralNames } from '../../src/protocol/general-names.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { ipAddressText, parseIpAddress } from '../../src/protocol/ip-address.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'

describe('general names', () => {
  it('are written by kind and read back', () => {
    const names = {
      dns: ['a.example', '*.b.example'],
      uri: ['spiffe://example/device/1'],
      ip: ['10.0.0.1', '2001:db8::1'],
    }
    const der = encodeGeneralNames(names)
    expect(readGeneralNames(der)).toEqual({ ...names, others: 0 })
    expect(toHex(der.subarray(0, 4))).toBe('304b8209')
  })

  it('count the kinds that have no list', () => {
    expect(readGeneralNames(hex('3009 8101 61 a400 8202 6162'))).toEqual({ dns: ['ab'], uri: [], ip: [], others: 2 })
  })

  it.each([
    ['nothing in it', '3000'],
    ['a NUL in a DNS name', '3005 8203 610062'],
    ['a blank in a URI', '3005 8603 612062'],
    ['an empty DNS name', '3002 8200'],
    ['eight bits in a DNS name', '3003 8201 e9'],
    ['an address of five octets', '3007 8705 0102030405'],
    ['a tag of another class', '3003 0c01 61'],
    ['a context tag that does not exist', '3003 8901 61'],
    ['another outer type', '3103 8201 61'],
  ])('are refused with %s', (_, text) => {
    expect(() => readGeneralNames(hex(text))).toThrow(ProtocolError)
  })

  it.each([
    { dns: [''], uri: [], ip: [] },
    { dns: ['a\0b'], uri: [], ip: [] },
    { dns: ['ü.example'], uri: [], ip: [] },
    { dns: [], uri: ['a b'], ip: [] },
    { dns: [], uri: [], ip: ['300.1.1.1'] },
  ])('are not written as %j', (names) => {
    expect(() => encodeGeneralNames(names)).toThrow(ProtocolError)
  })

  it('that were damaged are read or refused', () => {
    const der = encodeGeneralNames({ dns: ['a.example'], uri: ['urn:x'], ip: ['::1'] })
    fc.assert(
      fc.property(mutationsOf(der), (bytes) => {
        try {
          readGeneralNames(bytes)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('IP addresses', () => {
  it.each([
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
    ['10.0.0.1', '10.0.0.1'],
  ])('%s is shown as %s', (text, shown) => {
    expect(ipAddressText(parseIpAddress(text))).toBe(shown)
  })

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '::1%eth0',
    '10.0.0.0/8',
    '1.2.3.4:5',
    '::1.2.3.4:1',
  ])('"%s" is refused', (text) => {
    expect(() => parseIpAddress(text)).toThrow(ProtocolError)
  })

  it('are read back, and their text is what others take for an address', () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 }).map((values) => Uint8Array.from(values)),
    )
    fc.assert(
      fc.property(octets, (bytes) => {
        const text = ipAddressText(bytes)
        expect(isIP(text)).toBe(bytes.length === 4 ? 4 : 6)
        expect(parseIpAddress(text)).toEqual(bytes)
      }),
      { numRuns: 500 },
    )
  })
})
