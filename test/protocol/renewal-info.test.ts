import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../src/protocol/error.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { certificateId, parseCertificateId } from '../../src/protocol/renewal-info.ts'
import { hex } from '../fixtures/bytes.ts'

/** The example of RFC 9773 §4.1. */
const example = {
  keyIdentifier: hex('69885b6b87464041e1b37b847ba0ae2cde01c8d4'),
  serial: hex('87654321'),
  text: 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE',
}

describe('the certificate identifier', () => {
  it('of the RFC is written and read', () => {
    expect(certificateId(example.keyIdentifier, example.serial)).toBe(example.text)
    expect(parseCertificateId(example.text)).toEqual({
      authorityKeyIdentifier: example.keyIdentifier,
      serial: '87654321',
    })
  })

  it('is read back whatever the serial', () => {
    const serials = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .filter((bytes) => bytes.length === 1 || bytes[0] !== 0)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 32 }), serials, (keyIdentifier, serial) => {
        const read = parseCertificateId(certificateId(keyIdentifier, serial))
        expect(read).toEqual({ authorityKeyIdentifier: keyIdentifier, serial: toHex(serial) })
      }),
    )
  })

  it.each([
    ['nothing', ''],
    ['one part', 'aYhba4dGQEHhs3uEe6CuLN4ByNQ'],
    ['three parts', `${example.text}.AA`],
    ['an empty part', '.AIdlQyE'],
    ['an empty serial', 'aYhb.'],
    ['padding', 'aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE'],
    ['a negative serial', 'aYhb.h2VDIQ'],
    ['a serial with a needless zero', 'aYhb.AABl'],
    ['a serial of 34 octets', `aYhb.${'A'.repeat(46)}`],
    ['a path in it', '../../etc/passwd.AA'],
    ['far too much', 'a'.repeat(300)],
  ])('is refused with %s', (_, text) => {
    expect(() => parseCertificateId(text)).toThrow(ProtocolError)
  })

  it('of any text is read or refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AZaz09-_.=é') }), (text) => {
        try {
          const { authorityKeyIdentifier, serial } = parseCertificateId(text)
          expect(certificateId(authorityKeyIdentifier, hex(serial))).toBe(text)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})
