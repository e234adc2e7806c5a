import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { EventSink } from '../../src/events/events.ts'
import type { EventRecord } from '../../src/model.ts'

/** A sink that takes everything into a file, so that it outlives the process that delivers. */
export const fileSink = (path: string): EventSink => ({
  name: 'file',
  batch: 4,
  async deliver(events) {
    for (const event of events) appendFileSync(path, `${JSON.stringify(event)}\n`)
    return events.map(() => ({ status: 'delivered' as const }))
  },
})

/** What was taken, in the order of arrival, repeats too. */
export const deliveredTo = (path: string): EventRecord[] =>
  existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as EventRecord)
    : []
