import type { Duration, Instant } from '../model.ts'

/** Text from devices and foreign certificates must not command the terminal that shows it. */
export const plain = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '\ufffd')

/** Columns under headings, aligned; nothing is cut or wrapped, so that a serial can be copied. */
export function table(headings: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const lines = [headings, ...rows.map((row) => row.map((cell) => plain(cell)))]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => [...(line[column] ?? '')].length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Names and values, one a line. */
export function details(fields: ReadonlyArray<readonly [string, string | null]>): string {
  const shown = fields.filter((field): field is readonly [string, string] => field[1] !== null)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`).join('\n')
}

const steps: ReadonlyArray<readonly [Duration, string]> = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** "29 d", "3 h": the largest unit of which there are two or more. */
export function about(duration: Duration): string {
  const length = Math.abs(duration)
  const [size, unit] = steps.find(([step]) => length >= 2 * step) ?? [1000, 's']
  return `${Math.floor(length / size)} ${unit}`
}

/** "in 29 d", "3 h ago", "now". */
export function relative(instant: Instant, now: Instant): string {
  if (Math.abs(instant - now) < 1000) return 'now'
  return instant > now ? `in ${about(instant - now)}` : `${about(now - instant)} ago`
}

/** An instant as the server writes it, relative; "-" where there is none. */
export const when = (iso: string | null, now: Instant): string => (iso === null ? '-' : relative(Date.parse(iso), now))

/** Both: "2027-01-31T12:00:00Z (in 29 d)". */
export const whenExactly = (iso: string | null, now: Instant): string | null =>
  iso === null ? null : `${iso.replace(/\.\d+Z$/, 'Z')} (${when(iso, now)})`
