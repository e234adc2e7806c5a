import { randomUUID } from 'node:crypto'
import type { EventRecord, Instant } from '../model.ts'
import { placeholders, pruneLimit, readJson, type Sql } from './sql.ts'
import type { EventReads, EventWrites, ParkedEvent } from './store.ts'

interface Row {
  sequence: number
  id: string
  time: Instant
  detail_type: string
  subject: string
  detail: string
}
interface ParkedRow extends Row {
  attempts: number
  next_attempt_at: Instant
  reason: string
}

const columns = 'event.sequence, event.id, event.time, event.detail_type, event.subject, event.detail'

const toEvent = (row: Row): EventRecord => ({
  sequence: row.sequence,
  id: row.id,
  time: row.time,
  detailType: row.detail_type,
  subject: row.subject,
  detail: readJson(row.detail, `detail of event ${row.sequence}`),
})

const toParked = (row: ParkedRow): ParkedEvent => ({
  event: toEvent(row),
  attempts: row.attempts,
  nextAttemptAt: row.next_attempt_at,
  reason: row.reason,
})

/** No event waits for nearly as long between two tries; one that would was parked while the clock was ahead. */
const longestPause = 7 * 86_400_000

export const eventReads = (sql: Sql): EventReads => ({
  async after(sequence, limit) {
    const newer = `SELECT ${columns} FROM event WHERE sequence > $1 ORDER BY sequence LIMIT $2`
    return (await sql.all<Row>(newer, [sequence, limit])).map(toEvent)
  },

  async tail(limit) {
    const newest = `SELECT ${columns} FROM event ORDER BY sequence DESC LIMIT $1`
    return (await sql.all<Row>(newest, [limit])).map(toEvent).reverse()
  },

  async latest(subject, detailTypes) {
    let newest: Row | null = null
    // One seek for each: an index cannot give the newest of several types without reading them all.
    for (const detailType of detailTypes) {
      const row = await sql.get<Row>(
        `SELECT ${columns} FROM event WHERE subject = $1 AND detail_type = $2 ORDER BY sequence DESC LIMIT 1`,
        [subject, detailType],
      )
      if (row && (newest === null || row.sequence > newest.sequence)) newest = row
    }
    return newest && toEvent(newest)
  },

  async cursor(sink) {
    const row = await sql.get<{ sequence: number }>('SELECT sequence FROM event_cursor WHERE sink = $1', [sink])
    return row?.sequence ?? 0
  },

  async parkedSubjects(sink) {
    const rows = await sql.all<{ subject: string }>(
      'SELECT DISTINCT subject FROM event_parked WHERE sink = $1 ORDER BY subject',
      [sink],
    )
    return rows.map((row) => row.subject)
  },

  async parkedDue(sink, now, limit) {
    const rows = await sql.all<ParkedRow>(
      `SELECT ${columns}, event_parked.attempts, event_parked.next_attempt_at, event_parked.reason
       FROM event_parked JOIN event ON event.sequence = event_parked.sequence
       WHERE event_parked.sink = $1 AND event_parked.subject IN (
         SELECT first.subject FROM event_parked AS first
         WHERE first.sink = $1 AND (first.next_attempt_at <= $2 OR first.next_attempt_at > $4) AND NOT EXISTS (
           SELECT 1 FROM event_parked AS earlier
           WHERE earlier.sink = $1 AND earlier.subject = first.subject AND earlier.sequence < first.sequence))
       ORDER BY event_parked.sequence LIMIT $3`,
      [sink, now, limit, now + longestPause],
    )
    return rows.map(toParked)
  },
})

export const eventWrites = (sql: Sql): EventWrites => {
  const reads = eventReads(sql)
  return {
    ...reads,

    async append(event) {
      const id = randomUUID()
      const row = await sql.get<{ sequence: number }>(
        `INSERT INTO event (id, time, detail_type, subject, detail) VALUES ($1, $2, $3, $4, $5) RETURNING sequence`,
        [id, event.time, event.detailType, event.subject, JSON.stringify(event.detail)],
      )
      const { time, detailType, subject, detail } = event
      return { sequence: row?.sequence ?? 0, id, time, detailType, subject, detail }
    },

    async setCursor(sink, sequence) {
      await sql.run(
        `INSERT INTO event_cursor (sink, sequence) VALUES ($1, $2)
         ON CONFLICT (sink) DO UPDATE SET sequence = excluded.sequence`,
        [sink, sequence],
      )
    },

    async park(sink, { event, attempts, nextAttemptAt, reason }) {
      await sql.run(
        `INSERT INTO event_parked (sink, sequence, subject, attempts, next_attempt_at, reason)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (sink, sequence) DO UPDATE SET attempts = excluded.attempts,
           next_attempt_at = excluded.next_attempt_at, reason = excluded.reason`,
        [sink, event.sequence, event.subject, attempts, nextAttemptAt, reason],
      )
    },

    async unpark(sink, sequence) {
      await sql.run('DELETE FROM event_parked WHERE sink = $1 AND sequence = $2', [sink, sequence])
    },

    async prune(before, sinks) {
      const passed = Math.min(Number.MAX_SAFE_INTEGER, ...(await Promise.all(sinks.map(reads.cursor))))
      const parked = sinks.length === 0 ? '' : `AND sink IN (${placeholders(sinks.length, 3)})`
      // Looks at the oldest few only: a sink that stands still must not make every prune read all that waits for it.
      return sql.run(
        `DELETE FROM event WHERE sequence IN (
           SELECT sequence FROM (
             SELECT sequence, time FROM event
             WHERE sequence <= $1 AND NOT EXISTS (
               SELECT 1 FROM event_parked WHERE event_parked.sequence = event.sequence ${parked})
             ORDER BY sequence LIMIT $2) AS oldest
           WHERE time < $3)`,
        [passed, pruneLimit, before, ...sinks],
      )
    },
  }
}
