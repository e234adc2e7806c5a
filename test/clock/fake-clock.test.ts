import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { fakeClock } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'

const day = 86_400_000

test('it stands still until it is advanced', async () => {
  const clock = fakeClock(1_000)
  let awake = false
  void clock.sleep(10).then(() => {
    awake = true
  })
  await clock.advance(9)
  expect({ now: clock.now(), awake, sleepers: clock.sleepers }).toEqual({ now: 1_009, awake: false, sleepers: 1 })
  await clock.advance(1)
  expect({ now: clock.now(), awake, sleepers: clock.sleepers }).toEqual({ now: 1_010, awake: true, sleepers: 0 })
})

test('sleepers wake in the order of their deadlines and each sees its exact instant', async () => {
  const clock = fakeClock(0)
  const seen: number[] = []
  for (const ms of [30, 10, 20, 10])
    void clock.sleep(ms).then(() => {
      seen.push(clock.now())
    })
  await clock.advance(100)
  expect(seen).toEqual([10, 10, 20, 30])
  expect(clock.now()).toBe(100)
})

test('a loop that falls asleep again is carried through the whole of one advance', async () => {
  const clock = fakeClock(0)
  const seen: number[] = []
  const loop = async () => {
    for (;;) {
      await clock.sleep(3_600_000)
      seen.push(clock.now())
    }
  }
  void loop()
  await clock.advance(365 * day)
  expect(seen).toHaveLength(365 * 24)
  expect(seen.at(-1)).toBe(365 * day)
})

test('an aborted sleep rejects with the reason of its signal and no longer counts', async () => {
  const clock = fakeClock(0)
  const control = new AbortController()
  const sleep = clock.sleep(10, control.signal)
  control.abort(new Error('enough'))
  await expect(sleep).rejects.toThrow('enough')
  expect(clock.sleepers).toBe(0)
  await expect(clock.sleep(10, control.signal)).rejects.toThrow('enough')
})

test('waking leaves no listener on the signal', async () => {
  const clock = fakeClock(0)
  const { signal } = new AbortController()
  for (let round = 0; round < 100; round++) {
    const sleep = clock.sleep(1, signal)
    await clock.advance(1)
    await sleep
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('a jump forward wakes whoever is overdue, and they see the new time', async () => {
  const clock = fakeClock(0)
  const seen: number[] = []
  void clock.sleep(10).then(() => {
    seen.push(clock.now())
  })
  void clock.sleep(2 * day)
  clock.set(day)
  await clock.advance(0)
  expect(seen).toEqual([day])
  expect(clock.sleepers).toBe(1)
})

test('a jump back makes no sleep longer', async () => {
  const clock = fakeClock(10 * day)
  let awake = false
  void clock.sleep(1_000).then(() => {
    awake = true
  })
  clock.set(day)
  await clock.advance(999)
  expect(awake).toBe(false)
  await clock.advance(1)
  expect(awake).toBe(true)
  expect(clock.now()).toBe(day + 1_000)
})

test('a test can wait until the code sleeps', async () => {
  const clock = fakeClock(0)
  const asleep = clock.untilSleeping(2)
  void clock.sleep(5)
  setImmediate(() => void clock.sleep(5))
  await asleep
  expect(clock.sleepers).toBe(2)
})

test('seeded randomness repeats itself for one seed and differs between seeds', () => {
  const [one, again, other] = [seededRandom(1), seededRandom(1), seededRandom(2)]
  expect(one.bytes(32)).toEqual(again.bytes(32))
  expect(one.fraction()).toBe(again.fraction())
  expect(one.bytes(32)).not.toEqual(other.bytes(32))
  const fractions = Array.from({ length: 10_000 }, () => one.fraction())
  expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...fractions)).toBeLessThan(1)
  expect(fractions.reduce((sum, each) => sum + each, 0) / fractions.length).toBeCloseTo(0.5, 1)
})
