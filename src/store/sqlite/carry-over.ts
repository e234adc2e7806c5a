import { isEverleafError } from '../../errors.ts'
import { placeholders } from '../sql.ts'
import type { Connection } from './connection.ts'
import { damageOf, isUnreadable } from './errors.ts'

/**
 * What a restored database takes over from the one that it replaces: `main` is the restored, `gone` the replaced one.
 * Rules: what only `gone` knows comes in; where both know a record, what can only ever grow or end (a revocation, a
 * retirement, a use, a CRL number, a cursor) stands as far as either has got.
 */

interface Step {
  /** For the report. */
  kind: string
  statements: readonly string[]
  /** Book-keeping, which the report does not count. */
  quiet?: true
}

interface Rows {
  kind: string
  table: string
  key: readonly string[]
  /** Spares the many rows that both know the attempt to insert them. */
  where?: string
  /** Columns that come in as another expression. */
  replace?: Record<string, string>
  /** Instead, where the table or what the expressions read is damaged. */
  replaceDamaged?: Record<string, string>
}

/** Beyond every mark of `main`, so that none counts as published that was not. */
const nextSequence = `sequence + coalesce((SELECT last FROM main.revocation_sequence AS kept
  WHERE kept.authority = row.authority AND kept.crl_shard = row.crl_shard), 0)`

const unknownCertificate = `NOT EXISTS (SELECT 1 FROM main.certificate AS kept
  WHERE kept.authority = row.authority AND kept.serial = row.serial)`

/** Tables whose unknown rows come in. */
const rows: readonly Rows[] = [
  {
    kind: 'revocations',
    table: 'revocation',
    key: ['authority', 'crl_shard', 'serial'],
    replace: {
      sequence: nextSequence,
      published_in: `coalesce(published_in, (SELECT number FROM gone.revocation_publication AS publication
        WHERE publication.authority = row.authority AND publication.crl_shard = row.crl_shard
          AND publication.mark >= row.sequence ORDER BY publication.mark LIMIT 1))`,
    },
    // Unpublished, and so published once more.
    replaceDamaged: { sequence: nextSequence },
  },
  { kind: 'certificates', table: 'certificate', key: ['id'], where: unknownCertificate, replace: { id: 'NULL' } },
  // One that clashes over its token or predecessor with another of the backup is on record at least.
  {
    kind: 'certificates',
    table: 'certificate',
    key: ['id'],
    where: unknownCertificate,
    replace: { id: 'NULL', token: 'NULL', predecessor_authority: 'NULL', predecessor_serial: 'NULL' },
  },
  { kind: 'devices', table: 'device', key: ['id'] },
  { kind: 'tokens', table: 'enrolment_token', key: ['hash'] },
  { kind: 'anchors', table: 'trust_anchor', key: ['fingerprint'] },
  { kind: 'truststores', table: 'truststore', key: ['version'] },
  { kind: 'profiles', table: 'profile_version', key: ['name', 'version'] },
  { kind: 'events', table: 'event', key: ['sequence'] },
]

const rank = (alias: string) =>
  `CASE ${alias}.state WHEN 'issued' THEN 0 WHEN 'delivered' THEN 1 WHEN 'confirmed' THEN 2 WHEN 'superseded' THEN 3 WHEN 'expired' THEN 4 ELSE 5 END`
const anchorRank = (alias: string) =>
  `CASE ${alias}.state WHEN 'incoming' THEN 0 WHEN 'active' THEN 1 WHEN 'retiring' THEN 2 ELSE 3 END`
const marks = ['state', 'slot', 'renewal_opened_at', 'delivered_at', 'confirmed_at', 'superseded_at', 'next_alert_at']
const tuple = (alias: string) => `(${marks.map((mark) => `${alias}.${mark}`).join(', ')})`

const merges: readonly Step[] = [
  {
    kind: 'revocations',
    quiet: true,
    statements: [
      `INSERT INTO main.revocation_sequence (authority, crl_shard, last)
       SELECT authority, crl_shard, last FROM gone.revocation_sequence WHERE true
       ON CONFLICT (authority, crl_shard) DO UPDATE SET last = revocation_sequence.last + excluded.last`,
    ],
  },
  {
    kind: 'certificates',
    statements: [
      `UPDATE main.certificate AS kept SET ${marks.map((mark) => `${mark} = lost.${mark}`).join(', ')}
       FROM gone.certificate AS lost
       WHERE lost.authority = kept.authority AND lost.serial = kept.serial
         AND ${rank('lost')} >= ${rank('kept')} AND ${tuple('lost')} IS NOT ${tuple('kept')}`,
    ],
  },
  {
    kind: 'devices',
    statements: [
      `UPDATE main.device AS kept SET state = 'retired' FROM gone.device AS lost
       WHERE lost.id = kept.id AND lost.state = 'retired' AND kept.state <> 'retired'`,
      `UPDATE main.device AS kept
       SET last_contact_at = lost.last_contact_at, agent_version = lost.agent_version, last_error = lost.last_error
       FROM gone.device AS lost
       WHERE lost.id = kept.id AND lost.last_contact_at > coalesce(kept.last_contact_at, -1)`,
    ],
  },
  {
    kind: 'tokens',
    statements: [
      `UPDATE main.enrolment_token AS kept SET used_at = lost.used_at FROM gone.enrolment_token AS lost
       WHERE lost.hash = kept.hash AND lost.used_at IS NOT NULL AND kept.used_at IS NULL`,
    ],
  },
  {
    kind: 'anchors',
    statements: [
      `UPDATE main.trust_anchor AS kept SET state = lost.state FROM gone.trust_anchor AS lost
       WHERE lost.fingerprint = kept.fingerprint AND ${anchorRank('lost')} > ${anchorRank('kept')}`,
    ],
  },
  {
    kind: 'crls',
    statements: [
      `INSERT INTO main.crl SELECT * FROM gone.crl WHERE true
       ON CONFLICT (authority, shard) DO UPDATE SET number = excluded.number, this_update = excluded.this_update,
         next_update = excluded.next_update, entries = excluded.entries, digest = excluded.digest
       WHERE excluded.number > crl.number`,
    ],
  },
  {
    kind: 'gateways',
    statements: [
      `INSERT INTO main.gateway SELECT * FROM gone.gateway WHERE true
       ON CONFLICT (name) DO UPDATE SET state = excluded.state, truststore_version = excluded.truststore_version,
         truststore_digest = excluded.truststore_digest, crl_digest = excluded.crl_digest,
         message = excluded.message, updated_at = excluded.updated_at
       WHERE excluded.updated_at > gateway.updated_at`,
    ],
  },
  {
    kind: 'events',
    quiet: true,
    statements: [
      // A sequence that was ever given is never given again: a cursor may lie beyond every event that is left.
      `INSERT INTO main.sqlite_sequence (name, seq) SELECT 'event', 0
       WHERE NOT EXISTS (SELECT 1 FROM main.sqlite_sequence WHERE name = 'event')`,
      `UPDATE main.sqlite_sequence SET seq = max(sqlite_sequence.seq, lost.seq) FROM gone.sqlite_sequence AS lost
       WHERE lost.name = 'event' AND sqlite_sequence.name = 'event'`,
    ],
  },
  {
    kind: 'events',
    statements: [
      `INSERT INTO main.event (id, time, detail_type, subject, detail)
       SELECT lost.id, lost.time, lost.detail_type, lost.subject, lost.detail
       FROM gone.event AS lost JOIN main.event AS kept ON kept.sequence = lost.sequence
       WHERE kept.id <> lost.id ORDER BY lost.sequence`,
    ],
  },
  {
    kind: 'cursors',
    quiet: true,
    statements: [
      `INSERT INTO main.event_cursor SELECT * FROM gone.event_cursor WHERE true
       ON CONFLICT (sink) DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > event_cursor.sequence`,
      `INSERT OR IGNORE INTO main.event_parked SELECT * FROM gone.event_parked
       WHERE sequence IN (SELECT sequence FROM main.event)`,
      // What was parked at the time of the backup, and is not any more, has been delivered.
      `DELETE FROM main.event_parked
       WHERE (sink, sequence) NOT IN (SELECT sink, sequence FROM gone.event_parked)`,
    ],
  },
]

/** Holds even where the certificates of `gone` could not be read. */
const revokeCertificates = `UPDATE main.certificate SET state = 'revoked', next_alert_at = NULL
  WHERE state <> 'revoked' AND (authority, serial) IN (SELECT authority, serial FROM main.revocation)`

/**
 * What `statement` changed, or what of `gone` it could not read; then it changed nothing. There is no transaction around
 * it: within one, SQLite takes no more writes after it has met damage.
 */
function attempt(statement: () => number): { changed: number } | { damage: string } {
  try {
    return { changed: statement() }
  } catch (error) {
    // Anything else, such as a full disk, says nothing about `gone`, and must not pass for it.
    if (!isUnreadable(error)) throw error
    return { damage: damageOf(error) }
  }
}

/** Takes the rows of a damaged table one by one, from either end as far as it can be read. */
function salvage(connection: Connection, insert: string, select: string, key: readonly string[]): number {
  let changed = 0
  for (const direction of ['ASC', 'DESC']) {
    const order = key.map((column) => `row.${column} ${direction}`).join(', ')
    for (const row of connection.readable(`${select} ORDER BY ${order}`)) {
      try {
        changed += connection.run(insert, row)
      } catch (error) {
        // A row whose bytes no longer fit its columns is lost; anything else, such as a full disk, ends the restore.
        if (!isEverleafError(error, 'internal')) throw error
      }
    }
  }
  return changed
}

/** Takes over into `restored` what the database in the file `replaced` knows beyond it; of the same migrations, both. */
export function carryOver(
  restored: Connection,
  replaced: string,
): { carried: Record<string, number>; unread: string[] } {
  const carried: Record<string, number> = {}
  const unread = new Set<string>()
  const add = (kind: string, changed: number) => {
    if (changed > 0) carried[kind] = (carried[kind] ?? 0) + changed
  }
  restored.run('ATTACH $1 AS gone', [replaced])
  restored.exec('PRAGMA foreign_keys = OFF')
  for (const { kind, table, key, where = 'true', replace = {}, replaceDamaged = replace } of rows) {
    const info = `SELECT name FROM pragma_table_info('${table}')`
    const columns = restored.all<{ name: string }>(info).map(({ name }) => name)
    const insert = `INSERT OR IGNORE INTO main.${table} (${columns.join(', ')})`
    const select = (replaced: Record<string, string>) =>
      `SELECT ${columns.map((column) => `${replaced[column] ?? column} AS ${column}`).join(', ')} FROM gone.${table} AS row WHERE ${where}`
    const result = attempt(() => restored.run(`${insert} ${select(replace)}`))
    if ('changed' in result) add(kind, result.changed)
    else {
      unread.add(`some ${kind}: ${result.damage}`)
      const insertOne = `${insert} VALUES (${placeholders(columns.length)})`
      add(kind, salvage(restored, insertOne, select(replaceDamaged), key))
    }
  }
  for (const { kind, statements, quiet } of merges) {
    for (const text of statements) {
      const result = attempt(() => restored.run(text))
      if ('damage' in result) unread.add(`changes to ${kind}: ${result.damage}`)
      else if (!quiet) add(kind, result.changed)
    }
  }
  add('certificates', restored.run(revokeCertificates))
  restored.exec('DETACH gone')
  return { carried, unread: [...unread] }
}
