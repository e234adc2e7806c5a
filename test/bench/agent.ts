import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { createToken } from '../../src/lifecycle/create-token.ts'
import type { Bench } from './bench.ts'
import { runProgram } from './children.ts'
import { digits, median, timed } from './measure.ts'
import { makePlace, openPorts } from './place.ts'
import { startServer } from './server.ts'

const bundle = new URL('../../dist/everleaf-agent.mjs', import.meta.url).pathname
/** Writes the peak of resident memory, in megabytes, when the process ends. */
const tellPeak = new URL('./tell-peak.mjs', import.meta.url).href

export const agent: Bench = async ({ directory, progress, rounds }) => {
  progress('agent: enrolling')
  const place = await makePlace(join(directory, 'server'))
  const ports = await openPorts(place)
  const fingerprint = ports.authorities.issuing.chain.at(-1)?.fingerprint ?? ''
  const { token } = await createToken({ device: 'device-1', profile: 'device', ttl: 3_600_000, labels: {} }, ports)
  await ports.close()
  const server = await startServer(place)
  try {
    const home = join(directory, 'device-1')
    const target = ['--server', place.config.listen.device.url, '--fingerprint', fingerprint, '--device', 'device-1']
    await runProgram([process.execPath, bundle, 'enroll', ...target, '--directory', home], { EVERLEAF_TOKEN: token })
    const renewal = [bundle, 'renew', '--force', '--directory', home]
    const figures = { wall: [] as number[], nodeWall: [] as number[], peak: [] as number[], nodePeak: [] as number[] }
    for (let round = 1; round <= Math.max(5, rounds); round += 1) {
      progress(`agent: round ${round}`)
      figures.nodeWall.push(await timed(() => runProgram([process.execPath, '-e', '0'])))
      figures.wall.push(await timed(() => runProgram([process.execPath, ...renewal])))
      figures.nodePeak.push(await peakOf(['-e', '0'], directory))
      figures.peak.push(await peakOf(renewal, directory))
    }
    return [reportOf(median(figures.wall), median(figures.nodeWall), median(figures.peak), median(figures.nodePeak))]
  } finally {
    await server.stop()
  }
}

const peakOf = async (argv: readonly string[], directory: string): Promise<number> => {
  const file = join(directory, 'peak')
  await runProgram([process.execPath, '--import', tellPeak, ...argv], { BENCH_PEAK: file })
  return Number(readFileSync(file, 'utf8'))
}

const reportOf = (ms: number, nodeMs: number, peak: number, nodePeak: number) => {
  const bytes = statSync(bundle).size
  const gzippedBytes = gzipSync(readFileSync(bundle)).length
  const result = {
    bench: 'agent',
    bundleBytes: bytes,
    bundleGzippedBytes: gzippedBytes,
    ms: digits(ms),
    nodeMs: digits(nodeMs),
    ratioToNode: digits(ms / nodeMs),
    peakMB: digits(peak),
    nodePeakMB: digits(nodePeak),
    peakRatioToNode: digits(peak / nodePeak),
  }
  const rows = [
    {
      what: 'bundle',
      ours: `${bytes} bytes`,
      baseline: `gzip ${gzippedBytes}`,
      ratio: '',
      target: '≤ 100 kB',
      met: bytes <= 100_000,
    },
    {
      what: 'one renewal',
      ours: `${digits(ms)} ms`,
      baseline: `node -e 0: ${digits(nodeMs)} ms`,
      ratio: `${result.ratioToNode} ×`,
      target: '≤ 0.4 s',
      met: ms <= 400,
    },
    {
      what: 'peak memory',
      ours: `${digits(peak)} MB`,
      baseline: `node -e 0: ${digits(nodePeak)} MB`,
      ratio: `${result.peakRatioToNode} ×`,
      target: '≤ 60 MB',
      met: peak <= 60,
    },
  ]
  return { result, rows }
}
