import { getTasks } from 'node-cron'
import { expect, test } from 'vitest'
import { readCadence } from '../../src/jobs/cadence.ts'

test('a cadence falls on its seconds, in UTC wherever the machine stands', () => {
  const before = process.env.TZ
  process.env.TZ = 'Asia/Kolkata'
  try {
    const daily = readCadence('0 30 3 * * *')
    expect(daily(Date.UTC(2027, 5, 1, 3, 30, 0))).toBe(true)
    expect(daily(Date.UTC(2027, 5, 1, 3, 30, 1))).toBe(false)
    expect(daily(Date.UTC(2027, 5, 1, 9, 0, 0))).toBe(false)
  } finally {
    if (before === undefined) delete process.env.TZ
    else process.env.TZ = before
  }
})

test('five fields mean the first second of the minute', () => {
  const everyMinute = readCadence('* * * * *')
  expect(everyMinute(Date.UTC(2027, 0, 1, 0, 1, 0))).toBe(true)
  expect(everyMinute(Date.UTC(2027, 0, 1, 0, 1, 1))).toBe(false)
})

test('nothing stays behind in the registry of node-cron', () => {
  readCadence('* * * * * *')
  expect(getTasks().size).toBe(0)
})
