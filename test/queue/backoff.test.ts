import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffFor } from '../../src/queue/backoff.ts'

const limits = { backoff: 1_000, maxBackoff: 60_000 }

test('the bound doubles with each failure up to the limit, also after very many', () => {
  const bounds = [1, 2, 3, 6, 7, 5_000].map((failures) =>
    backoffFor(failures, limits, { fraction: 1, retryAfter: null }),
  )
  expect(bounds).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000])
})

test('any wait lies between what the neighbour asked for and that plus the limit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.option(fc.integer({ min: -1_000, max: 3_600_000 })),
      (failures, fraction, retryAfter) => {
        const wait = backoffFor(failures, limits, { fraction, retryAfter })
        const least = Math.max(0, retryAfter ?? 0)
        expect(wait).toBeGreaterThanOrEqual(least)
        expect(wait).toBeLessThan(least + limits.maxBackoff)
      },
    ),
  )
})
