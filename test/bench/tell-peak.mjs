import { readFileSync, writeFileSync } from 'node:fs'

// Loaded into a program that is measured. Plain JavaScript: stripping types would take more memory than the program.
process.on('exit', () => {
  const kilobytes =
    process.platform === 'linux' ? /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) : null
  const peak = Number(kilobytes?.[1] ?? process.resourceUsage().maxRSS) / 1_024
  writeFileSync(process.env.BENCH_PEAK ?? '/dev/null', String(peak))
})
