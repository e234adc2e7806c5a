import type { CertificateKey, Instant, Revocation, RevocationReason } from '../model.ts'
import { pruneLimit, type Sql } from './sql.ts'
import type { CrlRow, RevocationReads, RevocationWrites } from './store.ts'

interface Row {
  serial: string
  revoked_at: Instant
  reason: RevocationReason
  not_after: Instant
  published_in: string | null
}

/** Rows of one chunk for a CRL. */
const chunkSize = 10_000

const columns = `serial, revoked_at, reason, not_after, CAST(coalesce(published_in, (
    SELECT number FROM revocation_publication AS publication
    WHERE publication.authority = revocation.authority AND publication.crl_shard = revocation.crl_shard
      AND publication.mark >= revocation.sequence
    ORDER BY publication.mark LIMIT 1)) AS TEXT) AS published_in`

/** The sequence up to which a CRL was published, as a value within a query on shard ($1, $2). */
const lastPublished = `coalesce((SELECT max(mark) FROM revocation_publication WHERE authority = $1 AND crl_shard = $2), 0)`

const toRevocation = (row: Row, authority: string, crlShard: number): Revocation => ({
  authority,
  serial: row.serial,
  crlShard,
  revokedAt: row.revoked_at,
  reason: row.reason,
  notAfter: row.not_after,
  publishedIn: row.published_in === null ? null : BigInt(row.published_in),
})

const toCrlRow = ({ serial, revoked_at, reason }: Row): CrlRow => ({ serial, revokedAt: revoked_at, reason })

const bySerial = (left: CrlRow, right: CrlRow): number => (left.serial < right.serial ? -1 : 1)

interface Wanted {
  authority: string
  shard: number
  /** Not what came later. */
  mark: number
  /** All that came after this sequence, but was not published yet. */
  published: number
  /** All of the others that expire at this instant or later. */
  since: Instant
}

/** What the next CRL must hold, from the clustered index, chunk after chunk. */
async function* chunks(sql: Sql, { authority, shard, mark, published, since }: Wanted): AsyncGenerator<CrlRow[]> {
  for (let after = ''; ; ) {
    const rows = await sql.all<Row>(
      `SELECT serial, revoked_at, reason FROM revocation
       WHERE authority = $1 AND crl_shard = $2 AND serial > $3 AND sequence <= $4
         AND (not_after >= $5 OR (published_in IS NULL AND sequence > $6))
       ORDER BY serial LIMIT $7`,
      [authority, shard, after, mark, since, published, chunkSize],
    )
    const last = rows.at(-1)
    if (last) yield rows.map(toCrlRow)
    if (!last || rows.length < chunkSize) return
    after = last.serial
    await sql.pause()
  }
}

export const revocationReads = (sql: Sql): RevocationReads => ({
  async get({ authority, serial }: CertificateKey) {
    const row = await sql.get<Row & { crl_shard: number }>(
      `SELECT ${columns}, crl_shard FROM revocation WHERE authority = $1 AND serial = $2`,
      [authority, serial],
    )
    return row && toRevocation(row, authority, row.crl_shard)
  },

  async forCrl(authority, shard, previousThisUpdate) {
    const newest = await sql.get<{ last: number; published: number }>(
      `SELECT last, ${lastPublished} AS published FROM revocation_sequence WHERE authority = $1 AND crl_shard = $2`,
      [authority, shard],
    )
    const { last: mark, published } = newest ?? { last: 0, published: 0 }
    const since = previousThisUpdate ?? Number.MIN_SAFE_INTEGER
    return { mark, published, chunks: chunks(sql, { authority, shard, mark, published, since }) }
  },

  async changesForCrl({ authority, shard }, then, since, limit) {
    // In one statement, so that the count is of the very rows up to the mark. `+`: along the sequence, not the expiry.
    const now = await sql.get<{ mark: number; published: number; count: number }>(
      `SELECT last AS mark, ${lastPublished} AS published,
         (SELECT count(*) FROM revocation WHERE authority = $1 AND crl_shard = $2 AND not_after >= $3)
         + (SELECT count(*) FROM revocation WHERE authority = $1 AND crl_shard = $2 AND sequence > ${lastPublished}
              AND published_in IS NULL AND +not_after < $3) AS count
       FROM revocation_sequence WHERE authority = $1 AND crl_shard = $2`,
      [authority, shard, since],
    )
    if (now === null || now.published !== then.mark) return null
    const earlier = then.previousThisUpdate ?? Number.MIN_SAFE_INTEGER
    if (since < earlier || now.mark - then.mark > limit || then.mark - then.published > limit) return null
    const added = await sql.all<Row>(
      `SELECT serial, revoked_at, reason FROM revocation
       WHERE authority = $1 AND crl_shard = $2 AND sequence > $3 AND sequence <= $4
         AND (+not_after >= $5 OR published_in IS NULL)`,
      [authority, shard, then.mark, now.mark, since],
    )
    const expired = await sql.all<{ serial: string }>(
      `SELECT serial FROM revocation
       WHERE authority = $1 AND crl_shard = $2 AND not_after >= $3 AND not_after < $4 AND +sequence <= $5 LIMIT $6`,
      [authority, shard, earlier, since, then.mark, limit + 1],
    )
    if (expired.length > limit) return null
    // In the CRL though expired, because it was the first to hold them.
    const late = await sql.all<{ serial: string }>(
      `SELECT serial FROM revocation
       WHERE authority = $1 AND crl_shard = $2 AND sequence > $3 AND sequence <= $4 AND +not_after < $5
         AND published_in IS NULL`,
      [authority, shard, then.published, then.mark, earlier],
    )
    const dropped = [...expired, ...late].map(({ serial }) => serial).sort()
    return { mark: now.mark, count: now.count, added: added.map(toCrlRow).sort(bySerial), dropped }
  },

  async countUnpublished(authority, shard) {
    const row = await sql.get<{ total: number }>(
      `SELECT count(*) AS total FROM revocation
       WHERE authority = $1 AND crl_shard = $2 AND sequence > ${lastPublished} AND published_in IS NULL`,
      [authority, shard],
    )
    return row?.total ?? 0
  },
})

export const revocationWrites = (sql: Sql): RevocationWrites => ({
  ...revocationReads(sql),

  async insert({ authority, serial, crlShard, revokedAt, reason, notAfter, publishedIn }) {
    const next = await sql.get<{ last: number }>(
      `INSERT INTO revocation_sequence (authority, crl_shard, last) VALUES ($1, $2, 1)
       ON CONFLICT (authority, crl_shard) DO UPDATE SET last = revocation_sequence.last + 1 RETURNING last`,
      [authority, crlShard],
    )
    const inserted = await sql.run(
      `INSERT INTO revocation (authority, crl_shard, serial, sequence, revoked_at, reason, not_after, published_in)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
      [authority, crlShard, serial, next?.last ?? 1, revokedAt, reason, notAfter, publishedIn],
    )
    return inserted === 1
  },

  async markPublished(authority, shard, number, mark) {
    // A mark below the highest one has nothing left to mark.
    await sql.run(
      `INSERT INTO revocation_publication (authority, crl_shard, mark, number)
       SELECT $1, $2, $3, $4 WHERE $3 > ${lastPublished}`,
      [authority, shard, mark, number],
    )
  },

  async prune(authority, shard, before) {
    const pruned = await sql.run(
      `DELETE FROM revocation WHERE authority = $1 AND crl_shard = $2 AND serial IN (
         SELECT serial FROM revocation
         WHERE authority = $1 AND crl_shard = $2 AND not_after < $3
           AND (published_in IS NOT NULL OR sequence <= ${lastPublished})
         ORDER BY not_after LIMIT $4)`,
      [authority, shard, before, pruneLimit],
    )
    // Marks below every revocation that is left tell nothing any more.
    await sql.run(
      `DELETE FROM revocation_publication WHERE authority = $1 AND crl_shard = $2 AND mark < (
         SELECT min(sequence) FROM revocation WHERE authority = $1 AND crl_shard = $2)`,
      [authority, shard],
    )
    return pruned
  },
})
