import fc from 'fast-check'
import { expect, test } from 'vitest'
import { alertsDue, alertsOf, days, daysToExpiry } from '../../src/policy/alerts.ts'

const thresholds = [45, 30, 14, 7, 3, 1].map(days)
const life = { notBefore: 0, notAfter: days(90), slot: days(60) }

test('the thresholds of a long life stand as configured, those of a short one shrink alike', () => {
  const long = alertsOf({ notBefore: 0, notAfter: days(365), slot: null }, thresholds, null)
  expect(long.map(({ at }) => days(365) - at)).toEqual(thresholds)
  const short = alertsOf({ notBefore: 0, notAfter: 20_000, slot: null }, thresholds, null)
  expect(short.map(({ at }) => at)).toEqual([10_000, 13_333, 16_889, 18_444, 19_333, 19_778])
})

test('of several thresholds that passed unseen only the most urgent is told, beside overdue', () => {
  const { tell, next } = alertsDue(alertsOf(life, thresholds, 0.05), days(45), days(84))
  expect(tell).toMatchObject([{ kind: 'overdue' }, { kind: 'expiring', threshold: days(7) }])
  expect(next).toBe(days(87))
})

test('looked at often or seldom, no threshold is told twice and the last one is always told', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }), (gaps) => {
      const alerts = alertsOf(life, thresholds, 0.05)
      let since: number | null = alerts[0]?.at ?? null
      const told: string[] = []
      let now = 0
      for (const gap of [...gaps, 100]) {
        now += days(gap) / 4
        if (since === null || since > now) continue
        const { tell, next } = alertsDue(alerts, since, now)
        told.push(...tell.map(({ kind, threshold }) => `${kind} ${threshold}`))
        since = next
      }
      expect(new Set(told).size).toBe(told.length)
      if (now >= days(90)) expect(told.filter((each) => each.startsWith('overdue'))).toHaveLength(1)
    }),
  )
})

test('days to expiry are whole for long lives and fractions for the last day', () => {
  expect(daysToExpiry(days(31.7), 0)).toBe(31)
  expect(daysToExpiry(20_000, 0)).toBe(0.0002)
  expect(daysToExpiry(0, days(2))).toBe(-2)
})
