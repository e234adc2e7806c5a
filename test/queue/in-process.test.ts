import { describe, expect, test, vi } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import { createInProcessQueue, type InProcessQueueOptions } from '../../src/queue/in-process.ts'
import type { JobOptions } from '../../src/queue/queue.ts'
import { queueContract } from '../contract/queue.ts'
import { fakeClock, settle } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'

const options: JobOptions = { concurrency: 1, attempts: 3, backoff: 1_000, maxBackoff: 8_000 }
const job = (id: string, name = 'work') => ({ name, id, payload: {} })
const never = () => new Promise<void>(() => undefined)

const create = (overrides: Partial<InProcessQueueOptions> = {}) => {
  const clock = fakeClock()
  return { clock, queue: createInProcessQueue({ clock, random: seededRandom(), ...overrides }) }
}

queueContract('the in-process queue', async () => {
  const { clock, queue } = create()
  return { queue, pass: (ms) => clock.advance(ms), end: () => queue.close(0) }
})

describe('the in-process queue', () => {
  test('is full at its bound of waiting jobs, per name, and takes more once one has left', async () => {
    const { queue } = create({ bound: 3 })
    const leaves: Array<() => void> = []
    queue.process('work', options, () => new Promise<void>((resolve) => leaves.push(resolve)))
    queue.process('other', options, async () => undefined)
    const answers: string[] = []
    for (const id of ['runs', 'a', 'b', 'c', 'd']) answers.push(await queue.enqueue(job(id)))
    expect(answers).toEqual(['accepted', 'accepted', 'accepted', 'accepted', 'full'])
    expect(await queue.enqueue(job('a', 'other'))).toBe('accepted')
    await settle()
    leaves[0]?.()
    await settle()
    expect(await queue.enqueue(job('d'))).toBe('accepted')
  })

  test('counts what backs off towards its bound', async () => {
    const { queue } = create({ bound: 2 })
    queue.process('work', { ...options, concurrency: 5 }, async () => {
      throw new Error('no')
    })
    await queue.enqueue(job('a'))
    await queue.enqueue(job('b'))
    await queue.idle()
    expect(await queue.enqueue(job('c'))).toBe('full')
  })

  test('waits between tries for a share of a bound that doubles up to its limit', async () => {
    const { clock, queue } = create({ random: { ...seededRandom(), fraction: () => 0.5 } })
    const at: number[] = []
    queue.process('work', { concurrency: 1, attempts: 6, backoff: 1_000, maxBackoff: 5_000 }, async () => {
      at.push(clock.now())
      throw new Error('no')
    })
    await queue.enqueue(job('a'))
    await clock.advance(60_000)
    expect(at.slice(1).map((time, index) => time - (at[index] ?? 0))).toEqual([500, 1_000, 2_000, 2_500, 2_500])
  })

  test('a thousand jobs that failed at once do not come back at once', async () => {
    const { clock, queue } = create()
    const at = new Map<number, number>()
    let broken = true
    queue.process('work', { concurrency: 1_000, attempts: 3, backoff: 60_000, maxBackoff: 60_000 }, async () => {
      if (broken) throw new EverleafError('unavailable', 'down', { retryAfter: 30_000 })
      const second = Math.floor(clock.now() / 1_000)
      at.set(second, (at.get(second) ?? 0) + 1)
    })
    for (let id = 0; id < 1_000; id++) await queue.enqueue(job(String(id)))
    await queue.idle()
    broken = false
    const from = clock.now()
    await clock.advance(120_000)
    expect([...at.values()].reduce((sum, each) => sum + each, 0)).toBe(1_000)
    expect(Math.min(...at.keys())).toBeGreaterThanOrEqual(Math.floor(from / 1_000) + 30)
    expect(Math.max(...at.values())).toBeLessThan(50)
  })

  test('a dead letter rests, so that a sweep every second is no retry without backoff', async () => {
    const { clock, queue } = create()
    const handler = vi.fn(async () => {
      throw new Error('no')
    })
    queue.process('work', { concurrency: 1, attempts: 1, backoff: 0, maxBackoff: 600_000 }, handler)
    for (let second = 0; second < 3_600; second++) {
      await queue.enqueue(job('a'))
      await clock.advance(1_000)
    }
    expect(handler.mock.calls.length).toBeGreaterThanOrEqual(6)
    expect(handler.mock.calls.length).toBeLessThanOrEqual(13)
  })

  test('a clock that is set back ends the rest of a dead letter', async () => {
    const { clock, queue } = create()
    queue.process('work', { ...options, attempts: 1 }, async () => {
      throw new Error('no')
    })
    await queue.enqueue(job('a'))
    await queue.idle()
    expect(await queue.enqueue(job('a'))).toBe('duplicate')
    clock.set(0)
    expect(await queue.enqueue(job('a'))).toBe('accepted')
  })

  test('keeps the newest dead letters only', async () => {
    const { queue } = create({ deadLetterBound: 2 })
    queue.process('work', { ...options, attempts: 1 }, async () => {
      throw new Error('no')
    })
    for (const id of ['a', 'b', 'c']) await queue.enqueue(job(id))
    await queue.idle()
    expect((await queue.deadLetters()).map((letter) => letter.job.id)).toEqual(['b', 'c'])
  })

  test('a handler that throws before it returns a promise is a failure like any other', async () => {
    const { queue } = create()
    queue.process('work', { ...options, attempts: 1 }, () => {
      throw new Error('at once')
    })
    await queue.enqueue(job('a'))
    await queue.idle()
    expect((await queue.deadLetters())[0]?.reason).toBe('at once')
  })

  test('jobs that never wait still let requests be answered between them', async () => {
    const { queue } = create()
    let done = 0
    let doneAtFirstTurn: number | null = null
    queue.process('work', options, async () => {
      done++
    })
    for (let id = 0; id < 1_000; id++) await queue.enqueue(job(String(id)))
    setImmediate(() => {
      doneAtFirstTurn = done
    })
    await queue.idle()
    expect(done).toBe(1_000)
    expect(doneAtFirstTurn).toBeLessThan(10)
  })

  test('idle is there at once when there is nothing', async () => {
    await create().queue.idle()
  })

  test('closing cancels every backoff and forgets it', async () => {
    const { clock, queue } = create()
    const handler = vi.fn(async () => {
      throw new Error('no')
    })
    queue.process('work', { ...options, concurrency: 50 }, handler)
    for (let id = 0; id < 50; id++) await queue.enqueue(job(String(id)))
    await queue.idle()
    expect(clock.sleepers).toBe(50)
    await queue.close(0)
    await settle()
    expect(clock.sleepers).toBe(0)
    await clock.advance(60_000)
    expect(handler).toHaveBeenCalledTimes(50)
  })

  test('closing wakes whoever waits for idle, even behind a job that never ends', async () => {
    const { clock, queue } = create()
    queue.process('work', options, never)
    await queue.enqueue(job('a'))
    await settle()
    const idle = queue.idle()
    const closing = queue.close(1_000)
    await clock.advance(1_000)
    await Promise.all([idle, closing])
  })

  test('a job that had not begun when the queue closed is never begun', async () => {
    const { queue } = create()
    const handler = vi.fn(async () => undefined)
    queue.process('work', options, handler)
    await queue.enqueue(job('a'))
    await queue.close(0)
    await settle()
    expect(handler).not.toHaveBeenCalled()
  })

  test('it may be closed twice', async () => {
    const { queue } = create()
    await queue.close(10)
    await queue.close(10)
    expect(await queue.retry('work', 'a')).toBe(false)
  })

  test('tells failures and dead letters to its log, with the reason', async () => {
    const lines: unknown[] = []
    const write = (fields: object, message: string) => void lines.push({ ...fields, message })
    const { clock, queue } = create({ log: { warn: write, error: write } })
    queue.process('work', { ...options, attempts: 2 }, async () => {
      throw new Error('the disk is full')
    })
    await queue.enqueue(job('a'))
    await clock.advance(10_000)
    expect(lines).toMatchObject([
      { job: 'work', id: 'a', attempt: 1, attempts: 2, reason: 'the disk is full' },
      { job: 'work', id: 'a', attempt: 2, attempts: 2, reason: 'the disk is full' },
    ])
  })

  test('refuses a second handler and options that cannot work', () => {
    const { queue } = create()
    queue.process('work', options, never)
    expect(() => queue.process('work', options, never)).toThrow('"work" has a handler already')
    expect(() => queue.process('a', { ...options, concurrency: 0 }, never)).toThrow('concurrency is 0')
    expect(() => queue.process('a', { ...options, attempts: 1.5 }, never)).toThrow('attempts is 1.5')
    expect(() => queue.process('a', { ...options, backoff: -1 }, never)).toThrow('backoff is -1')
    expect(() => queue.process('a', { ...options, maxBackoff: 999 }, never)).toThrow('at least backoff (1000)')
  })
})
