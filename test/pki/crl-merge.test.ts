import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CrlEntry, encodeEntries } from '../../src/pki/crl-entries.ts'
import { mergeEntries } from '../../src/pki/crl-scan.ts'
import { concat } from '../../src/protocol/der.ts'

const at = Date.UTC(2026, 5, 1)
const entry = (serial: string): CrlEntry => ({
  serial,
  revokedAt: at,
  reason: serial < '80' ? 'superseded' : 'unspecified',
})
const encoded = (serials: readonly string[]): Uint8Array => concat(...encodeEntries(serials.map(entry)).chunks)
/** As numbers. */
const ascending = (serials: readonly string[]): string[] =>
  [...serials].sort((left, right) => Number(BigInt(`0x${left}`) - BigInt(`0x${right}`)))

const serials = fc.uniqueArray(
  fc.integer({ min: 1, max: 70_000 }).map((value) => {
    const text = value.toString(16)
    return text.length % 2 === 0 ? text : `0${text}`
  }),
  { maxLength: 30 },
)

test('what is merged is what would be encoded of the entries that remain', () => {
  fc.assert(
    fc.property(serials, fc.infiniteStream(fc.nat(2)), (all, kinds) => {
      const held: string[] = []
      const added: string[] = []
      const dropped: string[] = []
      for (const serial of ascending(all)) {
        const kind = kinds.next().value
        if (kind === 0) added.push(serial)
        else held.push(serial)
        if (kind === 2) dropped.push(serial)
      }
      const expected = ascending([...held.filter((serial) => !dropped.includes(serial)), ...added])
      const merged = mergeEntries(encoded(held), encoded(added), encoded(dropped))
      expect(merged?.count).toBe(expected.length)
      expect(concat(...(merged?.chunks ?? []))).toEqual(encoded(expected))
      expect(merged?.bytes).toBe(encoded(expected).length)
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['one added that is there', ['40', '42'], ['42'], []],
  ['one dropped that is not there', ['40', '42'], [], ['41']],
  ['one dropped beyond the last', ['40', '42'], [], ['43']],
  ['one dropped of none', [], ['40'], ['40']],
])('%s does not fit', (_, held, added, dropped) => {
  expect(mergeEntries(encoded(held), encoded(added), encoded(dropped))).toBeNull()
})
