import { jobTable } from '../../src/jobs/index.ts'
import type { Bench, Surroundings } from './bench.ts'
import { inventoryOf } from './inventory.ts'
import { digits, median, timed } from './measure.ts'
import { openPorts, type Place } from './place.ts'

const small = 10_000
const looks = 30
const sweep = '* * * * * *'

/** One look of every job of the sweep at everything that is due: a list of `times` in milliseconds. */
const lookAt = async (place: Place): Promise<{ times: number[]; found: number }> => {
  const ports = await openPorts(place)
  try {
    const jobs = jobTable(ports, { sweep, coalesce: 0 }).filter(({ cadence }) => cadence === sweep)
    const times: number[] = []
    let found = 0
    for (let look = 0; look < looks; look += 1) {
      found = 0
      const now = ports.clock.now()
      times.push(
        await timed(async () => {
          for (const job of jobs) for await (const _ of await job.due(now)) found += 1
        }),
      )
    }
    // The first looks are for the compiler.
    return { times: times.slice(5), found }
  } finally {
    await ports.close()
  }
}

const measure = async (count: number, { shared, progress, rounds }: Surroundings) => {
  progress(`due: seeding ${small} and ${count}`)
  const few = await inventoryOf(shared, small)
  const many = await inventoryOf(shared, count)
  const ours: number[] = []
  const base: number[] = []
  let due = 0
  for (let round = 1; round <= rounds; round += 1) {
    progress(`due ${count}: round ${round} of ${rounds}`)
    base.push(median((await lookAt(few.place)).times))
    const { times, found } = await lookAt(many.place)
    ours.push(median(times))
    due = found
  }
  const ms = median(ours)
  const smallMs = median(base)
  const result = {
    bench: 'due',
    entries: count,
    due,
    ms: digits(ms),
    smallEntries: small,
    smallMs: digits(smallMs),
    ratioToSmall: digits(ms / smallMs),
    seedMs: Math.round(many.seedMs),
    seededPerSecond: Math.round((count * 1_000) / many.seedMs),
  }
  const what = `sweep, 1,000 due of ${count.toLocaleString('en')}`
  const baseline = `of ${small.toLocaleString('en')}: ${digits(smallMs)} ms`
  const rows = [
    { what, ours: `${digits(ms)} ms`, baseline, ratio: `${result.ratioToSmall} ×`, target: '≤ 10 ms', met: ms <= 10 },
    {
      what: `seeding ${count.toLocaleString('en')} certificates`,
      ours: `${digits(many.seedMs / 1_000)} s`,
      baseline: '',
      ratio: '',
      target: '≤ 60 s',
      met: many.seedMs <= 60_000,
    },
  ]
  return { result, rows }
}

export const due: Bench = async (surroundings) => {
  const reports = []
  for (const count of surroundings.entries.length > 0 ? surroundings.entries : [1_000_000])
    reports.push(await measure(count, surroundings))
  return reports
}
