import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return Number.isInteger(middle)
    ? ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
    : (sorted[Math.floor(middle)] ?? Number.NaN)
}

export const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * part) - 1)] ?? Number.NaN

/** Milliseconds that `work` takes. */
export const timed = async (work: () => unknown): Promise<number> => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Runs `work` for 0 … count - 1, `concurrency` at a time; returns how many a second. */
export const rate = async (
  count: number,
  concurrency: number,
  work: (index: number) => Promise<unknown>,
): Promise<number> => {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  return (count * 1_000) / (await timed(() => Promise.all(Array.from({ length: concurrency }, worker))))
}

/** The same, one after the other and without a promise. */
export const rateAlone = (count: number, work: (index: number) => unknown): number => {
  const start = performance.now()
  for (let index = 0; index < count; index += 1) work(index)
  return (count * 1_000) / (performance.now() - start)
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/**
 * Peak of resident memory of this process. Not `maxRSS` where the system tells better: on Linux that one survives `exec`, so a
 * child begins with the size of its parent.
 */
export const peakMegabytes = (): number => {
  const kilobytes =
    process.platform === 'linux' ? /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) : null
  return Math.round(Number(kilobytes?.[1] ?? process.resourceUsage().maxRSS) / 1_024)
}

/** To three digits: more is noise. */
export const digits = (value: number): number => Number(value.toPrecision(3))
