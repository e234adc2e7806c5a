import type { EventRecord } from '../model.ts'

/** An event as it travels: the shape of EventBridge, plus `subject` and `sequence` for whoever restores the order. */
export interface Envelope {
  version: '0'
  /** Stable over deliveries: a receiver that has seen it drops the second. */
  id: string
  'detail-type': string
  source: 'everleaf'
  /** ISO 8601 in UTC. */
  time: string
  /** Events of one subject arrive in the order of their sequence. */
  subject: string
  /** Grows over all subjects, with gaps. */
  sequence: number
  detail: Record<string, unknown>
}

export const toEnvelope = ({ id, detailType, time, subject, sequence, detail }: EventRecord): Envelope => ({
  version: '0',
  id,
  'detail-type': detailType,
  source: 'everleaf',
  time: new Date(time).toISOString(),
  subject,
  sequence,
  detail,
})
