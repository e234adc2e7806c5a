import { cpus, totalmem, type } from 'node:os'
import type { Row } from './bench.ts'

const widths = [7, 42, 16, 30, 10, 15]

const line = (cells: readonly string[]): string =>
  `${cells
    .map((cell, index) => cell.padEnd(widths[index] ?? 0))
    .join(' ')
    .trimEnd()}\n`

export const headings = (): string => line(['bench', 'what', 'ours', 'baseline', 'ratio', 'target', ''])

export const tableOf = (name: string, rows: readonly Row[]): string =>
  rows
    .map(({ what, ours, baseline, ratio, target, met }) =>
      line([name, what, ours, baseline, ratio, target ?? '', met === null ? '' : met ? 'met' : 'MISSED']),
    )
    .join('')

export const machine = (): string => {
  const [first] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} × ${first?.model.trim()}, ${memory} GB, ${type()}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, SQLite ${process.versions.sqlite}`
}
