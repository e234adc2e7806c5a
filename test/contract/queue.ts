import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { EverleafError } from '../../src/errors.ts'
import type { Duration } from '../../src/model.ts'
import type { JobOptions, Queue } from '../../src/queue/queue.ts'

export interface QueueHarness {
  queue: Queue
  /** Lets so much time pass for the queue: on a fake clock at once, else really. */
  pass(ms: Duration): Promise<void>
  /** Cleans up behind the test; the queue may be closed already. */
  end(): Promise<void>
}

const options: JobOptions = { concurrency: 1, attempts: 3, backoff: 20, maxBackoff: 80 }

/** A handler that each job waits in until it is let go. */
const gate = () => {
  const inside: Array<{ payload: Record<string, unknown>; leave: (error?: Error) => void }> = []
  let most = 0
  const handler = (payload: Record<string, unknown>): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      const entry = {
        payload,
        leave: (error?: Error) => {
          inside.splice(inside.indexOf(entry), 1)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      inside.push(entry)
      most = Math.max(most, inside.length)
    })
  return {
    handler,
    inside,
    most: () => most,
    /** Resolves when so many are inside. */
    holds: (count: number) => vi.waitFor(() => expect(inside).toHaveLength(count), { timeout: 5_000, interval: 5 }),
  }
}

const is = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 5 })
const job = (id: string, payload: Record<string, unknown> = {}, name = 'work') => ({ name, id, payload })

/** What every queue must do, whatever is behind it. */
export const queueContract = (title: string, start: () => Promise<QueueHarness>): void => {
  describe(`${title} keeps the contract of the queue`, () => {
    let harness: QueueHarness
    let queue: Queue
    beforeEach(async () => {
      harness = await start()
      queue = harness.queue
    })
    afterEach(() => harness.end())

    test('a job is run once, with its payload', async () => {
      const seen: unknown[] = []
      queue.process('work', options, async (payload) => {
        seen.push(payload)
      })
      expect(await queue.enqueue(job('a', { serial: '4f', shard: 0 }))).toBe('accepted')
      await is(() => expect(seen).toEqual([{ serial: '4f', shard: 0 }]))
      await queue.idle()
      expect(seen).toHaveLength(1)
    })

    test('a job waits for its handler', async () => {
      expect(await queue.enqueue(job('early'))).toBe('accepted')
      const handler = vi.fn(async () => undefined)
      queue.process('work', options, handler)
      await is(() => expect(handler).toHaveBeenCalledTimes(1))
    })

    test('an id is taken while its job waits and while it runs, under its own name only, and free when it is done', async () => {
      const hold = gate()
      queue.process('work', options, hold.handler)
      queue.process('other', options, async () => undefined)
      await queue.enqueue(job('running'))
      await hold.holds(1)
      await queue.enqueue(job('waiting'))
      expect(await queue.enqueue(job('running'))).toBe('duplicate')
      expect(await queue.enqueue(job('waiting'))).toBe('duplicate')
      expect(await queue.enqueue(job('running', {}, 'other'))).toBe('accepted')
      hold.inside[0]?.leave()
      await hold.holds(1)
      hold.inside[0]?.leave()
      await queue.idle()
      expect(await queue.enqueue(job('running'))).toBe('accepted')
      await hold.holds(1)
      hold.inside[0]?.leave()
    })

    test('as many run at once as the name allows, and no more', async () => {
      const hold = gate()
      queue.process('work', { ...options, concurrency: 3 }, hold.handler)
      for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await queue.enqueue(job(id))
      for (let left = 7; left > 0; left--) {
        await hold.holds(Math.min(3, left))
        hold.inside[0]?.leave()
      }
      await queue.idle()
      expect(hold.most()).toBe(3)
    })

    test('one after another they run in the order in which they came', async () => {
      const seen: unknown[] = []
      for (const id of ['a', 'b', 'c', 'd']) await queue.enqueue(job(id, { id }))
      queue.process('work', options, async ({ id }) => {
        seen.push(id)
      })
      await is(() => expect(seen).toEqual(['a', 'b', 'c', 'd']))
    })

    test('a name whose jobs never end holds back no other', async () => {
      const hold = gate()
      const done = vi.fn(async () => undefined)
      queue.process('stuck', options, hold.handler)
      queue.process('work', options, done)
      for (const id of ['a', 'b', 'c']) await queue.enqueue(job(id, {}, 'stuck'))
      await queue.enqueue(job('a'))
      await is(() => expect(done).toHaveBeenCalledTimes(1))
      while ((await queue.enqueue(job('more', {}, 'stuck'))) !== 'duplicate') await hold.holds(1)
      await queue.close(0)
    })

    test('a job that fails is tried again until it succeeds, each time with the payload that it came with', async () => {
      const seen: unknown[] = []
      queue.process('work', options, async (payload) => {
        seen.push({ ...payload })
        payload.spoilt = true
        if (seen.length < 3) throw new Error('not yet')
      })
      await queue.enqueue(job('a', { serial: '4f' }))
      await is(() => expect(seen).not.toHaveLength(0))
      await harness.pass(3 * options.backoff)
      await is(() => expect(seen).toHaveLength(3))
      await queue.idle()
      expect(seen).toEqual([{ serial: '4f' }, { serial: '4f' }, { serial: '4f' }])
      expect(await queue.deadLetters()).toEqual([])
    })

    test('its id is taken while a job backs off, and idle does not wait for it', async () => {
      const slow = { ...options, backoff: 60_000, maxBackoff: 60_000 }
      const handler = vi.fn(async () => {
        throw new EverleafError('unavailable', 'later', { retryAfter: 60_000 })
      })
      queue.process('work', slow, handler)
      await queue.enqueue(job('a'))
      await is(() => expect(handler).toHaveBeenCalledTimes(1))
      await queue.idle()
      expect(await queue.enqueue(job('a'))).toBe('duplicate')
    })

    test('a neighbour that says when to come back is left alone until then', async () => {
      const handler = vi.fn(async () => {
        throw new EverleafError('unavailable', 'later', { retryAfter: 500 })
      })
      queue.process('work', options, handler)
      await queue.enqueue(job('a'))
      await is(() => expect(handler).toHaveBeenCalledTimes(1))
      await harness.pass(300)
      expect(handler).toHaveBeenCalledTimes(1)
      await harness.pass(300)
      await is(() => expect(handler).toHaveBeenCalledTimes(2))
    })

    const dieOf = async (reason: string): Promise<{ tries: () => number; heal: () => void }> => {
      let broken = true
      let tries = 0
      queue.process('work', options, async () => {
        tries++
        if (broken) throw new Error(reason)
      })
      await queue.enqueue(job('a', { serial: '4f' }))
      await is(() => expect(tries).toBeGreaterThan(0))
      await harness.pass(3 * options.backoff)
      await is(async () => expect(await queue.deadLetters()).toHaveLength(1))
      return {
        tries: () => tries,
        heal: () => {
          broken = false
        },
      }
    }

    test('a job that used up its tries is a dead letter that says why', async () => {
      const { tries } = await dieOf('the disk is full')
      expect(tries()).toBe(options.attempts)
      const [letter] = await queue.deadLetters()
      expect(letter).toMatchObject({
        job: job('a', { serial: '4f' }),
        attempts: options.attempts,
        reason: 'the disk is full',
      })
      expect(letter?.failedAt).toBeGreaterThan(0)
    })

    test('a dead letter that is put back runs again and is no longer one', async () => {
      const { tries, heal } = await dieOf('the disk is full')
      heal()
      expect(await queue.retry('work', 'unknown')).toBe(false)
      expect(await queue.retry('work', 'a')).toBe(true)
      await is(() => expect(tries()).toBe(options.attempts + 1))
      await queue.idle()
      expect(await queue.deadLetters()).toEqual([])
      expect(await queue.retry('work', 'a')).toBe(false)
    })

    test('a dead letter comes back by itself when the sweep still finds its work due after the rest', async () => {
      const { tries, heal } = await dieOf('the disk is full')
      heal()
      await harness.pass(options.maxBackoff)
      await is(async () => expect(await queue.enqueue(job('a', { serial: '4f' }))).toBe('accepted'))
      expect(await queue.deadLetters()).toEqual([])
      await is(() => expect(tries()).toBe(options.attempts + 1))
    })

    test('closing lets what runs finish, drops what waits and takes no more', async () => {
      const hold = gate()
      queue.process('work', options, hold.handler)
      await queue.enqueue(job('running'))
      await hold.holds(1)
      await queue.enqueue(job('waiting'))
      let closed = false
      const closing = queue.close(60_000).then(() => {
        closed = true
      })
      expect(await queue.enqueue(job('late'))).toBe('full')
      expect(closed).toBe(false)
      hold.inside[0]?.leave()
      await closing
      expect(hold.inside).toHaveLength(0)
      expect(hold.most()).toBe(1)
    })

    test('a job that never ends does not hold up closing past the deadline, and its late failure harms nobody', async () => {
      const hold = gate()
      queue.process('work', options, hold.handler)
      await queue.enqueue(job('endless'))
      await hold.holds(1)
      const closing = queue.close(50)
      await harness.pass(50)
      await closing
      hold.inside[0]?.leave(new Error('too late'))
      await harness.pass(0)
    })
  })
}
