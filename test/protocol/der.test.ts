import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DerNode } from '../../src/protocol/der.ts'
import {
  concat,
  contextConstructed,
  contextPrimitive,
  octetString,
  readDer,
  sequence,
  set,
} from '../../src/protocol/der.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { toHex } from '../../src/protocol/hex.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'

describe('the DER writer', () => {
  it.each([
    [0, '0400'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_535, '0482ffff'],
    [65_536, '0483010000'],
    [16_777_215, '0483ffffff'],
    [16_777_216, '048401000000'],
  ])('writes a length of %i in the shortest form', (length, header) => {
    const encoded = octetString(new Uint8Array(length))
    expect(toHex(encoded.subarray(0, header.length / 2))).toBe(header)
    expect(encoded.length).toBe(header.length / 2 + length)
    expect(readDer(encoded, { bytes: encoded.length }).content.length).toBe(length)
  })

  it('puts the elements of a SET OF in order, the shorter first', () => {
    expect(toHex(set(hex('0402ffff'), hex('040101'), hex('0401ff'), hex('0500')))).toBe('310c0401010401ff0402ffff0500')
  })

  it('writes context tags', () => {
    expect(toHex(contextConstructed(3, hex('0500')))).toBe('a3020500')
    expect(toHex(contextPrimitive(0, hex('aabb')))).toBe('8002aabb')
    expect(toHex(concat(hex('01'), hex(''), hex('0203')))).toBe('010203')
  })
})

const nested = (levels: number): Uint8Array => {
  let value = hex('0500')
  for (let level = 1; level < levels; level += 1) value = sequence(value)
  return value
}

describe('the DER reader', () => {
  it.each([
    ['nothing', '', /ends inside a header/],
    ['a tag alone', '30', /ends inside a header/],
    ['a length that lies', '30050500', /claims 5 octets of content where 2 are left/],
    ['a length that lies by four gigabytes', '3084ffffffff', /claims 4294967295 octets/],
    ['a child longer than its parent', '3003 0405 00 ', /claims 5 octets of content where 1 are left/],
    ['trailing octets', '0500 00', /1 octets follow the value, which ends at 2/],
    ['an indefinite length', '3080 0500 0000', /indefinite length/],
    ['an indefinite length inside', '3006 3080 0500 0000', /indefinite length/],
    ['a long length where a short one would do', '308102 0500', /takes 2 octets where fewer would do/],
    ['a long length with a leading zero', `04820080${'00'.repeat(128)}`, /takes 3 octets where fewer/],
    ['a length of five octets', '30850000000002 0500', /a length of 5 octets/],
    ['a length that is cut off', '308201', /ends inside a length/],
    ['the reserved length 0xff', '30ff', /a length of 127 octets/],
    ['a tag number over 30', '1f810000', /number over 30/],
    ['the reserved tag 0', '0000', /reserved/],
    ['a string in pieces', '2404 0402 0000', /string in pieces/],
    ['a primitive SEQUENCE', '1000', /primitive SEQUENCE/],
    ['a primitive SET', '1100', /primitive SEQUENCE or SET/],
    ['a fault deep inside', '3008 3006 a004 0403 0000', /claims 3 octets/],
  ])('refuses %s', (_, text, message) => {
    expect(() => readDer(hex(text))).toThrow(ProtocolError)
    expect(() => readDer(hex(text))).toThrow(message)
  })

  it('refuses nesting beyond the limit and takes it up to the limit', () => {
    expect(() => readDer(nested(16))).not.toThrow()
    expect(() => readDer(nested(17))).toThrow(/nested deeper/)
    expect(() => readDer(nested(4), { depth: 3 })).toThrow(/nested deeper/)
    expect(() => readDer(nested(10_000))).toThrow(/nested deeper/)
  })

  it('refuses more octets than the limit', () => {
    expect(() => readDer(octetString(new Uint8Array(65_536)))).toThrow(/65541 octets; 65536 at most/)
    expect(() => readDer(octetString(new Uint8Array(10)), { bytes: 11 })).toThrow(/12 octets; 11 at most/)
  })

  it('gives views into the input and copies nothing', () => {
    const input = sequence(hex('0401aa'), hex('0500'))
    const node = readDer(input)
    expect(node.children[0]?.content.buffer).toBe(input.buffer)
    expect(node.children.map((child) => child.offset)).toEqual([2, 5])
    expect(node.children).toBe(node.children)
    expect([...node.eachChild()].map((child) => toHex(child.bytes))).toEqual(['0401aa', '0500'])
  })

  it('reads bytes that do not start their buffer', () => {
    const input = concat(hex('ffff'), sequence(hex('0500'))).subarray(2)
    expect(toHex(readDer(input).children[0]?.bytes ?? new Uint8Array())).toBe('0500')
  })

  it('refuses to open a primitive value', () => {
    expect(() => readDer(hex('0500')).children).toThrow(/primitive and has no elements/)
  })
})

interface Tree {
  tag: number
  content: Uint8Array | Tree[]
}

const trees = fc.letrec<{ tree: Tree; leaf: Tree; branch: Tree }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('branch')),
  leaf: fc.record({
    tag: fc.constantFrom(0x02, 0x04, 0x05, 0x0c, 0x80, 0x81, 0x9e, 0x41, 0xc2),
    content: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 300 })),
  }),
  branch: fc.record({
    tag: fc.constantFrom(0x30, 0x31, 0xa0, 0xa3, 0xbe),
    content: fc.array(tie('tree'), { maxLength: 5 }),
  }),
}))

const write = ({ tag, content }: Tree): Uint8Array => {
  const parts = content instanceof Uint8Array ? [content] : content.map(write)
  const encoded = tag === 0x30 || tag === 0x31 ? sequence(...parts) : octetString(...parts)
  return concat(Uint8Array.of(tag), encoded.subarray(1))
}

const read = (node: DerNode): Tree => ({
  tag: node.tag,
  content: (node.tag & 0x20) === 0 ? Uint8Array.from(node.content) : node.children.map(read),
})

const limits = { depth: 64, bytes: 10_000_000 }

describe('DER of any shape', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(trees.tree, (tree) => {
        expect(read(readDer(write(tree), limits))).toEqual(tree)
      }),
    )
  })

  it('is all that is read: what is accepted is written again as the same octets', () => {
    const original = write({
      tag: 0x30,
      content: [
        { tag: 0xa0, content: [{ tag: 2, content: hex('0102') }] },
        { tag: 4, content: new Uint8Array(200) },
      ],
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutationsOf(original)), (bytes) => {
        try {
          expect(toHex(write(read(readDer(bytes))))).toBe(toHex(bytes))
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
      { numRuns: 5000 },
    )
  })
})
