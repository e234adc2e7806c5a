import { z } from 'zod'
import type { Duration } from '../model.ts'

const second = 1000
const day = 86_400 * second

/** A year is 365 days: a length, not a date. */
const units: Record<string, Duration> = {
  ms: 1,
  s: second,
  m: 60 * second,
  h: 3600 * second,
  d: day,
  w: 7 * day,
  y: 365 * day,
}

const unitList = 'ms, s, m (minutes), h, d, w or y'

/** Reads "90d" as milliseconds. 0 needs no unit. Throws `RangeError` saying what would be right. */
export function parseDuration(value: unknown): Duration {
  if (value === 0) return 0
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string') throw new RangeError('is no length of time; write a number and a unit, e.g. 90d')
  const match = /^(\d+(?:\.\d+)?)\s*([a-zµ]*)$/i.exec(text.trim())
  if (!match) throw new RangeError(`"${shorten(text)}" is no length of time; write one number and one unit, e.g. 90d`)
  const [, amount = '', unit = ''] = match
  if (unit === '' && Number(amount) === 0) return 0
  if (unit === '') throw new RangeError(`"${text}" has no unit; units are ${unitList}, e.g. ${amount}d`)
  const size = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (size === undefined) throw new RangeError(`unknown unit "${unit}"; units are ${unitList}, e.g. ${amount}d`)
  const milliseconds = Number(amount) * size
  if (!Number.isSafeInteger(milliseconds)) throw new RangeError(`"${text}" is no whole number of milliseconds`)
  return milliseconds
}

/** The shortest exact way to write a length of time: 7200000 is "2h". */
export function formatDuration(duration: Duration): string {
  const [unit, size] = Object.entries(units)
    .filter(([name, length]) => name !== 'w' && duration % length === 0)
    .at(-1) ?? ['ms', 1]
  return duration === 0 ? '0' : `${duration / size}${unit}`
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)

/** A length of time within [`least`, `most`], in whole seconds where it ends up in a certificate or CRL. */
export const duration = (bounds: { least?: Duration; most?: Duration; wholeSeconds?: boolean } = {}) =>
  z.unknown().transform((value, context): Duration => {
    const refuse = (message: string) => {
      context.issues.push({ code: 'custom', message, input: value })
      return z.NEVER
    }
    try {
      const length = parseDuration(value)
      const { least = 0, most = units.y === undefined ? 0 : 100 * units.y, wholeSeconds = false } = bounds
      if (length < least) return refuse(`${formatDuration(length)} is too short; at least ${formatDuration(least)}`)
      if (length > most) return refuse(`${formatDuration(length)} is too long; at most ${formatDuration(most)}`)
      if (wholeSeconds && length % second !== 0)
        return refuse(`${formatDuration(length)} is no whole number of seconds`)
      return length
    } catch (error) {
      if (error instanceof RangeError) return refuse(error.message)
      throw error
    }
  })
