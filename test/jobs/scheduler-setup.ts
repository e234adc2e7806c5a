import { afterEach } from 'vitest'
import type { Clock } from '../../src/clock/clock.ts'
import { createScheduler, type JobDefinition } from '../../src/jobs/scheduler.ts'
import { createInProcessQueue } from '../../src/queue/in-process.ts'
import { fakeClock } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'

export const day = 86_400_000
export const noon = Date.UTC(2027, 0, 1, 12)
const options = { concurrency: 2, attempts: 3, backoff: 1_000, maxBackoff: 10_000 }

/** Work that is due until it was run, as the store would tell it. */
export const inventory = (ids: string[]) => {
  const left = new Set(ids)
  return {
    left,
    due: async () => [...left].map((id) => ({ id, payload: { id } })),
    run: async ({ id }: Record<string, unknown>) => void left.delete(String(id)),
  }
}

export const define = (overrides: Partial<JobDefinition> = {}): JobDefinition => ({
  name: 'renew',
  cadence: '*/5 * * * * *',
  options,
  due: async () => [],
  run: async () => undefined,
  ...overrides,
})

const stops: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

export const create = (jobs: JobDefinition[], { clock = fakeClock(noon) as Clock, bound = 1_000 } = {}) => {
  const lines: Array<{ level: string; fields: object; message: string }> = []
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const log = { info: write('info'), warn: write('warn'), error: write('error') }
  const queue = createInProcessQueue({ clock, random: seededRandom(), bound })
  const scheduler = createScheduler({ clock, queue, jobs, log })
  stops.push(async () => {
    await scheduler.stop()
    await queue.close(0)
  })
  return { scheduler, queue, lines }
}
