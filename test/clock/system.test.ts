import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock/system.ts'

const day = 86_400_000
const start = Date.UTC(2027, 0, 1)

/** Whether a promise has settled by now. */
const watch = (promise: Promise<void>): { awake: boolean } => {
  const state = { awake: false }
  void promise.then(() => {
    state.awake = true
  })
  return state
}

test('it tells the time of the machine', () => {
  const before = Date.now()
  expect(systemClock.now()).toBeGreaterThanOrEqual(before)
  expect(systemClock.now()).toBeLessThanOrEqual(Date.now())
})

test('a sleep lasts as long as it should on the real timers', async () => {
  const before = Date.now()
  await systemClock.sleep(30)
  expect(Date.now() - before).toBeGreaterThanOrEqual(30)
})

test('nothing is waited for where there is no time to wait', async () => {
  await systemClock.sleep(0)
  await systemClock.sleep(-5)
})

test('an aborted sleep rejects with the reason of its signal and leaves no listener', async () => {
  const control = new AbortController()
  const sleep = systemClock.sleep(60_000, control.signal)
  control.abort(new Error('enough'))
  await expect(sleep).rejects.toThrow('enough')
  await expect(systemClock.sleep(1, control.signal)).rejects.toThrow('enough')
  expect(getEventListeners(control.signal, 'abort')).toHaveLength(0)
})

test('waking leaves no listener on the signal', async () => {
  const { signal } = new AbortController()
  for (let round = 0; round < 5; round++) await systemClock.sleep(1, signal)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

describe('with the timers of the runtime under control', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: start, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('a sleep longer than a timer can hold does not end at once', async () => {
    const sleep = watch(systemClock.sleep(60 * day))
    await vi.advanceTimersByTimeAsync(59 * day)
    expect(sleep.awake).toBe(false)
    await vi.advanceTimersByTimeAsync(day)
    expect(sleep.awake).toBe(true)
  })

  test('a machine that was suspended wakes its sleepers within a minute', async () => {
    const sleep = watch(systemClock.sleep(2 * day))
    await vi.advanceTimersByTimeAsync(1_000)
    vi.setSystemTime(start + 3 * day)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sleep.awake).toBe(true)
  })

  test('a clock that is set back makes no sleep longer', async () => {
    const sleep = watch(systemClock.sleep(1_000))
    await vi.advanceTimersByTimeAsync(400)
    vi.setSystemTime(start - 365 * day)
    await vi.advanceTimersByTimeAsync(600)
    expect(sleep.awake).toBe(true)
  })
})
