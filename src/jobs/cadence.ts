import { createTask, validateDetailed } from 'node-cron'
import { EverleafError } from '../errors.ts'
import type { Instant } from '../model.ts'

/** Whether a cron expression falls on the second of an instant (UTC). */
export type Cadence = (at: Instant) => boolean

/**
 * Reads a node-cron expression of five or six fields (seconds first). Only its calendar is used, not its timer: after a
 * jump of the clock that replays each second it missed (a day blocks for seconds), and after a jump back it is silent.
 */
export const readCadence = (expression: string): Cadence => {
  const { valid, errors } = validateDetailed(expression)
  if (!valid) {
    const wrong = errors.map(({ field, message }) => `${field}: ${message}`).join('; ')
    throw new EverleafError(
      'configuration',
      `cadence "${expression}" is no cron expression (${wrong}); right would be "*/5 * * * * *" for every five seconds`,
    )
  }
  const task = createTask(expression, () => undefined, { timezone: 'UTC' })
  task.destroy()
  return (at) => task.match(new Date(at))
}
