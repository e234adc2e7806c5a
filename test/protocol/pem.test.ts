import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../src/protocol/error.ts'
import { decodePem, encodePem } from '../../src/protocol/pem.ts'

const der = Uint8Array.from({ length: 100 }, (_, index) => index)
const block = encodePem('CERTIFICATE', der)
const lines = block.split('\n')

describe('PEM', () => {
  it('has 64 columns and ends with a line end', () => {
    expect(lines.map((line) => line.length)).toEqual([27, 64, 64, 8, 25, 0])
  })

  it('is read back block by block', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 5 }),
        (blocks) => {
          expect(decodePem(blocks.map((bytes) => encodePem('X509 CRL', bytes)).join(''), 'X509 CRL')).toEqual(blocks)
        },
      ),
    )
  })

  it('is read with text between blocks, with CRLF, and in one line', () => {
    expect(decodePem(`subject=CN = a\n${block}\n# next\n${block}`, 'CERTIFICATE')).toEqual([der, der])
    expect(decodePem(block.replaceAll('\n', '\r\n'), 'CERTIFICATE')).toEqual([der])
    const oneLine = [lines[0], lines.slice(1, 4).join(''), lines[4]].join('\n')
    expect(decodePem(oneLine, 'CERTIFICATE')).toEqual([der])
  })

  it.each([
    ['nothing', '', /no block of CERTIFICATE found/],
    ['a block of another kind', encodePem('PRIVATE KEY', der), /line 1: found BEGIN PRIVATE KEY, expected CERTIFICATE/],
    ['a block of another kind after a good one', block + encodePem('CERTIFICATE REQUEST', der), /line 6: found BEGIN/],
    ['a block without its end', lines.slice(0, 3).join('\n'), /has no END; it is cut off/],
    ['a good block and one without its end', block + lines.slice(0, 2).join('\n'), /has no END/],
    ['a block without its beginning', lines.slice(2).join('\n'), /END without a BEGIN/],
    ['a block cut off where the next begins', `${lines.slice(0, 2).join('\n')}\n${block}`, /BEGIN inside a block/],
    ['an end of another kind', block.replace('END CERTIFICATE', 'END X509 CRL'), /line 5: found END X509 CRL/],
    ['a boundary that is cut off', block.replace('-----END CERTIFICATE-----', '-----END CERTIF'), /damaged boundary/],
    ['a boundary with text before it', `x${block}`, /damaged boundary/],
    ['two boundaries without a line end between', block.trimEnd() + block, /damaged boundary/],
    ['a line that is missing a character', block.replace('AAECA', 'AAEC'), /base64/],
    ['headers inside', block.replace('\n', '\nProc-Type: 4,ENCRYPTED\n\n'), /base64/],
    ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n', /it is empty/],
  ])('refuses %s', (_, text, message) => {
    expect(() => decodePem(text, 'CERTIFICATE')).toThrow(ProtocolError)
    expect(() => decodePem(text, 'CERTIFICATE')).toThrow(message)
  })

  it('refuses more blocks than allowed', () => {
    expect(decodePem(block + block, 'CERTIFICATE', { maximum: 2 })).toHaveLength(2)
    expect(() => decodePem(block + block, 'CERTIFICATE', { maximum: 1 })).toThrow(/more than 1 blocks/)
  })

  it('never loses a block of a bundle that was cut off anywhere', () => {
    const bundle = block + block
    fc.assert(
      fc.property(fc.nat(bundle.length - 2), (length) => {
        // What is left is one whole block, with four dashes of the next at most, or it is refused.
        const cut = bundle.slice(0, length)
        if (length >= block.length - 1 && length <= block.length + 4)
          expect(decodePem(cut, 'CERTIFICATE')).toHaveLength(1)
        else expect(() => decodePem(cut, 'CERTIFICATE')).toThrow(ProtocolError)
      }),
      { numRuns: 500 },
    )
  })

  it('answers any text with blocks or a ProtocolError', () => {
    const pieces = fc.array(fc.oneof(fc.constantFrom(...lines, '-----', 'BEGIN', '\n', '\r'), fc.string()))
    fc.assert(
      fc.property(pieces, (parts) => {
        try {
          decodePem(parts.join('\n'), 'CERTIFICATE')
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
    )
  })
})
