import { z } from 'zod'
import type { Duration } from '../../model.ts'
import { revocationReasons } from '../../pki/revocation-reasons.ts'
import { normaliseSerial } from '../../pki/serial.ts'

const units: Record<string, Duration> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A length of time with its unit, as milliseconds. */
export const durationText = z
  .string()
  .regex(/^[1-9][0-9]{0,6}[smhd]$/, 'a length of time is a whole number and one of s, m, h, d, e.g. 1h')
  .transform((text): Duration => Number(text.slice(0, -1)) * (units[text.slice(-1)] ?? 0))

export const deviceId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    '1 to 64 letters, digits, dots, dashes or underscores, no dot or dash first',
  )

export const authorityId = z.string().min(1).max(128)

/** In any form that people copy: colons, upper case, leading zeros. */
export const serialText = z
  .string()
  .min(1)
  .max(128)
  .transform((text, context) => {
    try {
      return normaliseSerial(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'not a serial number' })
      return z.NEVER
    }
  })

export const limit = z.coerce.number().int().min(1).max(1_000).default(100).describe('At most this many, 1 to 1000.')

export const instantText = z.iso
  .datetime({ offset: true, error: 'an instant is ISO 8601 with its zone, e.g. 2027-01-31T12:00:00Z' })
  .transform((text) => Date.parse(text))

export const revocationReason = z.enum(revocationReasons)

export const certificateParams = z.strictObject({ authority: authorityId, serial: serialText })

/** Lets an act run although nothing seems due. */
export const forceBody = z.strictObject({ force: z.boolean().default(false) })
