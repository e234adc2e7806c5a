import { describe, expect, it } from 'vitest'
import { createTimekeeper, systemClock } from '../../src/agent/clock.ts'
import { flyingClock } from '../fakes/agent-clock.ts'

describe('the time floor', () => {
  it('leaves a plausible clock alone', () => {
    const clock = flyingClock({ start: 2_000_000 })
    const time = createTimekeeper(clock, 1_000_000)
    expect(time.behind()).toBe(false)
    expect(time.now()).toBe(2_000_000)
  })

  it('takes the place of a clock that is before it, and goes on', () => {
    const clock = flyingClock({ start: 0 })
    const time = createTimekeeper(clock, 1_000_000)
    expect(time.behind()).toBe(true)
    expect(time.now()).toBe(1_000_000)
    clock.advance(5_000)
    expect(time.now()).toBe(1_005_000)
    clock.jump(2_000_000)
    expect(time.behind()).toBe(false)
    expect(time.now()).toBe(2_005_000)
  })

  it('is raised by what is proven, never lowered, and never moves time back', () => {
    const clock = flyingClock({ start: 0 })
    const time = createTimekeeper(clock, 1_000_000)
    clock.advance(5_000)
    time.raise(1_002_000)
    expect(time.floor()).toBe(1_002_000)
    expect(time.now()).toBe(1_005_000)
    time.raise(900_000)
    expect(time.floor()).toBe(1_002_000)
    time.raise(1_500_000)
    expect(time.now()).toBe(1_500_000)
  })
})

describe('the system clock', () => {
  it('wakes at an abort and leaves no listener behind', async () => {
    const stop = new AbortController()
    const asleep = systemClock.sleep(60_000, stop.signal)
    stop.abort()
    await asleep
    await systemClock.sleep(60_000, stop.signal)
    await systemClock.sleep(1, new AbortController().signal)
  })
})
