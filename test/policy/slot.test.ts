import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backdated, drawSlot, expiryOf, openOrSpread } from '../../src/policy/slot.ts'

const renewal = { keys: 'rekey' as const, after: 2 / 3, jitter: 0.1, grace: 0, burst: 10 }
const lives = fc
  .tuple(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 10, max: 315_360_000 }))
  .map(([notBefore, seconds]) => ({ notBefore, notAfter: notBefore + seconds * 1_000 }))
const fractions = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('a slot lies within the band around its fraction of the lifetime', () => {
  fc.assert(
    fc.property(lives, fractions, (life, fraction) => {
      const share = (drawSlot(life, renewal, fraction) - life.notBefore) / (life.notAfter - life.notBefore)
      expect(share).toBeGreaterThanOrEqual(2 / 3 - 0.0501)
      expect(share).toBeLessThanOrEqual(2 / 3 + 0.0501)
    }),
  )
})

test('slots of certificates issued at the same moment differ', () => {
  const life = { notBefore: 0, notAfter: 90 * 86_400_000 }
  const slots = new Set(Array.from({ length: 100 }, (_, index) => drawSlot(life, renewal, index / 100)))
  expect(slots.size).toBe(100)
})

test('a slot seen in time is opened, a late one is drawn again within the first half of the time left', () => {
  fc.assert(
    fc.property(lives, fractions, fractions, (life, elapsed, fraction) => {
      const slot = drawSlot(life, renewal, 0.5)
      const now = Math.round(slot + (life.notAfter - slot) * elapsed)
      const decision = openOrSpread({ ...life, slot }, now, fraction)
      if (decision.act === 'open') return
      expect(now - slot).toBeGreaterThan((life.notAfter - life.notBefore) / 50)
      expect(decision.slot).toBeGreaterThan(now)
      expect(decision.slot).toBeLessThanOrEqual(now + (life.notAfter - now) / 2 + 2)
    }),
  )
  expect(openOrSpread({ notBefore: 0, notAfter: 90e9, slot: 60e9 }, 60e9 + 500, 0.5)).toEqual({ act: 'open' })
  expect(openOrSpread({ notBefore: 0, notAfter: 90e9, slot: 60e9 }, 89.9e9, 0.5)).toEqual({ act: 'open' })
})

test('certificates are dated back a little, in whole seconds, and never outlive their authority', () => {
  expect(backdated(1_000_000_500, 90 * 86_400_000)).toBe(999_700_000)
  expect(backdated(1_000_000_500, 20_000)).toBe(999_999_000)
  expect(expiryOf(1_000_000_500, 20_000, 9e15)).toBe(1_000_020_000)
  expect(expiryOf(1_000_000_500, 20_000, 1_000_010_000)).toBe(1_000_010_000)
})
