import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock/system.ts'
import type { JobDefinition } from '../../src/jobs/scheduler.ts'
import { fakeClock, settle } from '../fakes/clock.ts'
import { create, day, define, inventory, noon } from './scheduler-setup.ts'

describe('a started scheduler', () => {
  const running = async (jobs: JobDefinition[], start = noon) => {
    const clock = fakeClock(start)
    const created = create(jobs, { clock })
    created.scheduler.start()
    await settle()
    return { clock, ...created }
  }
  const recorder = (cadence: string) => {
    const looks: string[] = []
    const due = async (now: number) => {
      looks.push(new Date(now).toISOString().slice(11, 19))
      return []
    }
    return { looks, job: define({ cadence, due }) }
  }

  test('looks at once and then whenever the cadence says, in UTC', async () => {
    const { looks, job } = recorder('*/20 * * * * *')
    const { clock } = await running([job], noon + 7_300)
    await clock.advance(60_000)
    expect(looks).toEqual(['12:00:07', '12:00:20', '12:00:40', '12:01:00'])
  })

  test('looks once a day where it says so', async () => {
    const { looks, job } = recorder('0 30 3 * * *')
    const { clock } = await running([job])
    await clock.advance(day)
    expect(looks).toEqual(['12:00:00', '03:30:00'])
  })

  test('looks once when a second comes late, and does not leave out what fell into the gap', async () => {
    const { looks, job } = recorder('*/10 * * * * *')
    const { clock } = await running([job], noon + 1_000)
    clock.set(noon + 35_500)
    await clock.advance(1_000)
    expect(looks).toEqual(['12:00:01', '12:00:35'])
  })

  test('fires no storm after the machine slept for a year or the clock leapt from 1970', async () => {
    const every = recorder('* * * * * *')
    const daily = recorder('0 0 3 * * *')
    const { clock, lines } = await running([every.job, { ...daily.job, name: 'prune' }], 1_000)
    clock.set(noon + 500)
    await clock.advance(400)
    expect(every.looks).toEqual(['00:00:01', '12:00:00'])
    expect(daily.looks).toEqual(['00:00:01', '12:00:00'])
    expect(lines).toMatchObject([{ level: 'warn', message: 'the clock jumped; every job looks once' }])
    await clock.advance(2_000)
    expect(every.looks.slice(2)).toEqual(['12:00:01', '12:00:02'])
  })

  test('goes on at once after the clock was set back', async () => {
    const { looks, job } = recorder('* * * * * *')
    const { clock } = await running([job])
    clock.set(noon - 365 * day)
    await clock.advance(3_000)
    expect(looks).toHaveLength(4)
  })

  test('leaves out the seconds during which a look goes on', async () => {
    const leaves: Array<() => void> = []
    const due = vi.fn(async () => {
      await new Promise<void>((resolve) => leaves.push(resolve))
      return []
    })
    const { clock } = await running([define({ cadence: '* * * * * *', due })])
    await clock.advance(10_000)
    expect(due).toHaveBeenCalledTimes(1)
    leaves[0]?.()
    await clock.advance(1_000)
    expect(due).toHaveBeenCalledTimes(2)
    leaves[1]?.()
  })

  test('tries a look that fails again and again, less and less often, and is back at once when one succeeds', async () => {
    let broken = true
    const due = vi.fn(async () => {
      if (broken) throw new Error('the store is locked')
      return []
    })
    const { clock } = await running([define({ cadence: '* * * * * *', due })])
    await clock.advance(600_000)
    expect(due.mock.calls.length).toBeGreaterThan(10)
    expect(due.mock.calls.length).toBeLessThan(20)
    broken = false
    await clock.advance(60_000)
    due.mockClear()
    await clock.advance(10_000)
    expect(due).toHaveBeenCalledTimes(10)
    broken = true
    due.mockClear()
    await clock.advance(10_000)
    expect(due.mock.calls.length).toBeGreaterThanOrEqual(3)
  })

  test('looks no more once stopped, and stopping waits for the look that goes on', async () => {
    const leaves: Array<() => void> = []
    let found = 0
    const due = async function* () {
      found++
      await new Promise<void>((resolve) => leaves.push(resolve))
      yield { id: 'a', payload: {} }
      yield { id: 'b', payload: {} }
    }
    const run = vi.fn(async () => undefined)
    const { clock, scheduler, queue } = await running([define({ cadence: '* * * * * *', due, run })])
    let stopped = false
    const stopping = scheduler.stop().then(() => {
      stopped = true
    })
    await settle()
    expect(stopped).toBe(false)
    leaves[0]?.()
    await stopping
    scheduler.nudge('renew')
    await scheduler.tick()
    await clock.advance(10_000)
    await queue.idle()
    expect(found).toBe(1)
    expect(run).not.toHaveBeenCalled()
    expect(clock.sleepers).toBe(0)
  })

  test('runs on the real clock with the calendar of node-cron', async () => {
    const work = inventory(['a'])
    const due = vi.fn(work.due)
    const from = Date.now()
    const { scheduler } = create([define({ cadence: '* * * * * *', due, run: work.run })], { clock: systemClock })
    scheduler.start()
    await vi.waitFor(() => expect(due.mock.calls.length).toBeGreaterThanOrEqual(3), { timeout: 10_000 })
    expect(due.mock.calls.length).toBeLessThanOrEqual(2 + (Date.now() - from) / 1_000)
    expect(work.left.size).toBe(0)
  })
})
