import { join } from 'node:path'
import type { Bench, Surroundings } from './bench.ts'
import { runProgram } from './children.ts'
import { inventoryOf } from './inventory.ts'
import { digits, median, timed } from './measure.ts'
import { makePlace, type Place } from './place.ts'
import { startServer } from './server.ts'

const startOnce = async (place: Place): Promise<number> => {
  const server = await startServer(place)
  await server.stop()
  return server.readyMs
}

const measure = async (count: number, { directory, shared, progress, rounds }: Surroundings) => {
  progress(`start: seeding ${count}`)
  const empty = await makePlace(join(directory, 'start-empty'))
  const { place: full } = await inventoryOf(shared, count)
  // The first start publishes CRLs and truststore; every later one finds them.
  for (const place of [empty, full]) await startOnce(place)
  const times = { ours: [] as number[], empty: [] as number[], node: [] as number[] }
  for (let round = 1; round <= rounds; round += 1) {
    progress(`start ${count}: round ${round} of ${rounds}`)
    times.node.push(await timed(() => runProgram([process.execPath, '-e', '0'])))
    times.empty.push(await startOnce(empty))
    times.ours.push(await startOnce(full))
  }
  const [ms, emptyMs, nodeMs] = [median(times.ours), median(times.empty), median(times.node)]
  const result = {
    bench: 'start',
    entries: count,
    ms: digits(ms),
    emptyMs: digits(emptyMs),
    ratioToEmpty: digits(ms / emptyMs),
    nodeMs: digits(nodeMs),
    ratioToNode: digits(ms / nodeMs),
  }
  const what = `ready with ${count.toLocaleString('en')} certificates`
  const baseline = `empty ${digits(emptyMs)} ms, node ${digits(nodeMs)} ms`
  const rows = [
    { what, ours: `${digits(ms)} ms`, baseline, ratio: `${result.ratioToEmpty} ×`, target: '≤ 1 s', met: ms <= 1_000 },
  ]
  return { result, rows }
}

export const start: Bench = async (surroundings) => {
  const reports = []
  for (const count of surroundings.entries.length > 0 ? surroundings.entries : [1_000_000])
    reports.push(await measure(count, surroundings))
  return reports
}
