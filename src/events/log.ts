import { EverleafError, messageOf } from '../errors.ts'
import type { EventRecord } from '../model.ts'
import { type Envelope, toEnvelope } from './envelope.ts'
import type { Delivery, EventSink } from './events.ts'

export type LogTarget =
  /** Gets one JSON line per event, without the line feed. */
  | { write(line: string): void | Promise<void> }
  /** A pino logger: one entry per event, the envelope under `event`. */
  | { logger: { info(fields: { event: Envelope }, message: string): void } }

/** Writes each event as one line. */
export const createLogSink = (target: LogTarget, name = 'log'): EventSink => ({
  name,
  batch: 1_000,
  async deliver(events) {
    const deliveries: Delivery[] = []
    try {
      for (const event of events) {
        await writeOne(target, event)
        deliveries.push({ status: 'delivered' })
      }
    } catch (error) {
      const reason = `event log "${name}" cannot be written: ${messageOf(error)}`
      if (deliveries.length === 0) throw new EverleafError('unavailable', reason, { cause: error })
      while (deliveries.length < events.length) deliveries.push({ status: 'deferred', reason, retryAfter: null })
    }
    return deliveries
  },
})

const writeOne = async (target: LogTarget, event: EventRecord): Promise<void> => {
  const envelope = toEnvelope(event)
  if ('write' in target) await target.write(JSON.stringify(envelope))
  else target.logger.info({ event: envelope }, envelope['detail-type'])
}
