import { describe, expect, test, vi } from 'vitest'
import { fakeClock, settle } from '../fakes/clock.ts'
import { create, day, define, inventory, noon } from './scheduler-setup.ts'

describe('a tick', () => {
  test('puts what is due into the queue, which runs it with its payload', async () => {
    const work = inventory(['a', 'b', 'c'])
    const run = vi.fn(work.run)
    const { scheduler, queue } = create([define({ due: work.due, run })])
    await scheduler.tick()
    await queue.idle()
    expect(run.mock.calls).toEqual([[{ id: 'a' }], [{ id: 'b' }], [{ id: 'c' }]])
    await scheduler.tick()
    await queue.idle()
    expect(run).toHaveBeenCalledTimes(3)
  })

  test('takes what is due from a stream too, and tells it the instant once', async () => {
    const seen: unknown[] = []
    const due = async function* (now: number) {
      seen.push(now)
      yield { id: 'a', payload: { id: 'a' } }
      yield { id: 'b', payload: { id: 'b' } }
    }
    const { scheduler, queue } = create([define({ due, run: async ({ id }) => seen.push(id) })])
    await scheduler.tick('renew')
    await queue.idle()
    expect(seen).toEqual([noon, 'a', 'b'])
  })

  test('of one name leaves the others alone', async () => {
    const [first, second] = [vi.fn(async () => []), vi.fn(async () => [])]
    const { scheduler } = create([define({ due: first }), define({ name: 'expire', due: second })])
    await scheduler.tick('expire')
    expect(first).not.toHaveBeenCalled()
    expect(second).toHaveBeenCalledTimes(1)
    await expect(scheduler.tick('exprie')).rejects.toThrow('no job is named "exprie"; there are renew, expire')
  })

  test('never overlaps another of its job: those asked for meanwhile become one more', async () => {
    let inside = 0
    let most = 0
    const leaves: Array<() => void> = []
    const due = vi.fn(async () => {
      most = Math.max(most, ++inside)
      await new Promise<void>((resolve) => leaves.push(resolve))
      inside--
      return []
    })
    const { scheduler } = create([define({ due })])
    const ticks = [scheduler.tick(), scheduler.tick(), scheduler.tick()]
    scheduler.nudge('renew')
    await settle()
    expect(due).toHaveBeenCalledTimes(1)
    leaves[0]?.()
    await settle()
    expect(due).toHaveBeenCalledTimes(2)
    leaves[1]?.()
    await Promise.all(ticks)
    expect({ most, calls: due.mock.calls.length }).toEqual({ most: 1, calls: 2 })
  })

  test('that is asked for while one goes on sees what became due after that one had looked', async () => {
    const work = inventory([])
    let slow: (() => void) | null = null
    const due = async () => {
      const found = await work.due()
      if (slow === null) await new Promise<void>((resolve) => (slow = resolve))
      return found
    }
    const { scheduler, queue } = create([define({ due, run: work.run })])
    const first = scheduler.tick()
    await settle()
    work.left.add('late')
    const second = scheduler.tick()
    slow && (slow as () => void)()
    await Promise.all([first, second])
    await queue.idle()
    expect(work.left.size).toBe(0)
  })

  test('stops at a full queue, says so, and the next brings the rest', async () => {
    const work = inventory(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    const { scheduler, queue, lines } = create([define({ due: work.due, run: work.run })], { bound: 3 })
    await scheduler.tick()
    await queue.idle()
    expect(work.left.size).toBe(3)
    expect(lines).toMatchObject([{ level: 'warn', fields: { job: 'renew' } }])
    await scheduler.tick()
    await queue.idle()
    expect(work.left.size).toBe(0)
  })

  test('that fails is logged, and neither it nor the others stop', async () => {
    const broken = vi.fn(async () => {
      throw new Error('the store is locked')
    })
    const well = vi.fn(async () => [])
    const { scheduler, lines } = create([define({ due: broken }), define({ name: 'expire', due: well })])
    await scheduler.tick()
    await scheduler.tick()
    expect(broken).toHaveBeenCalledTimes(2)
    expect(well).toHaveBeenCalledTimes(2)
    expect(lines[0]).toMatchObject({ level: 'error', fields: { job: 'renew', reason: 'the store is locked' } })
  })

  test('after a kill finds the same work due again', async () => {
    const work = inventory(['a', 'b'])
    const stuck = create([define({ due: work.due, run: () => new Promise(() => undefined) })])
    await stuck.scheduler.tick()
    const next = create([define({ due: work.due, run: work.run })])
    await next.scheduler.tick()
    await next.queue.idle()
    expect(work.left.size).toBe(0)
  })
})

test('the decision of a verb is its log line', async () => {
  const decision = { act: 'renew', reason: 'slot', message: 'slot passed two seconds ago' }
  const { scheduler, queue, lines } = create([
    define({ due: async () => [{ id: 'a', payload: { serial: '4f' } }], run: async () => decision }),
  ])
  await scheduler.tick()
  await queue.idle()
  expect(lines).toEqual([
    { level: 'info', fields: { serial: '4f', job: 'renew', act: 'renew', reason: 'slot' }, message: decision.message },
  ])
})

describe('nudges', () => {
  test('bring a look at once, and many at once bring one', async () => {
    const due = vi.fn(async () => [])
    const { scheduler } = create([define({ due })])
    for (let count = 0; count < 1_000; count++) scheduler.nudge('renew')
    await settle()
    expect(due).toHaveBeenCalledTimes(1)
  })

  test('that keep coming bring ten looks a second and no more, the last one included', async () => {
    const clock = fakeClock(noon)
    let looked = 0
    const due = async () => {
      looked = clock.now()
      calls++
      return []
    }
    let calls = 0
    const { scheduler } = create([define({ due })], { clock })
    for (let ms = 0; ms < 1_000; ms++) {
      scheduler.nudge('renew')
      await clock.advance(1)
    }
    const last = clock.now()
    scheduler.nudge('renew')
    await clock.advance(100)
    expect(calls).toBeLessThanOrEqual(12)
    expect(calls).toBeGreaterThanOrEqual(10)
    expect(looked).toBeGreaterThanOrEqual(last)
  })

  test('go on after the clock was set back', async () => {
    const clock = fakeClock(noon)
    const due = vi.fn(async () => [])
    const { scheduler } = create([define({ due })], { clock })
    await scheduler.tick()
    clock.set(noon - 365 * day)
    scheduler.nudge('renew')
    await clock.advance(100)
    expect(due).toHaveBeenCalledTimes(2)
  })
})

test('a cadence that is none is refused with what is wrong about it', () => {
  expect(() => create([define({ cadence: '* * 25 * * *' })])).toThrow(/cadence "\* \* 25 \* \* \*" .*hour/)
  expect(() => create([define({ cadence: 'daily' })])).toThrow(/expected 5 or 6 fields but got 1/)
})

test('two jobs of one name are refused', () => {
  expect(() => create([define(), define()])).toThrow('two jobs are named "renew"')
})
