import type { EnrolmentToken, Instant } from '../model.ts'
import { pruneLimit, readJson, type Sql } from './sql.ts'
import type { TokenReads, TokenWrites } from './store.ts'

interface Row {
  hash: string
  device: string
  profile: string
  labels: string
  created_at: Instant
  expires_at: Instant
  used_at: Instant | null
}

const columns = 'hash, device, profile, labels, created_at, expires_at, used_at'

const toToken = (row: Row): EnrolmentToken => ({
  hash: row.hash,
  device: row.device,
  profile: row.profile,
  labels: readJson(row.labels, `labels of a token for device ${row.device}`),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  usedAt: row.used_at,
})

export const tokenReads = (sql: Sql): TokenReads => ({
  async get(hash) {
    const row = await sql.get<Row>(`SELECT ${columns} FROM enrolment_token WHERE hash = $1`, [hash])
    return row && toToken(row)
  },
})

export const tokenWrites = (sql: Sql): TokenWrites => ({
  ...tokenReads(sql),

  async insert(token) {
    await sql.run(`INSERT INTO enrolment_token (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)`, [
      token.hash,
      token.device,
      token.profile,
      JSON.stringify(token.labels),
      token.createdAt,
      token.expiresAt,
      token.usedAt,
    ])
  },

  async use(hash, at) {
    const used = 'UPDATE enrolment_token SET used_at = $2 WHERE hash = $1 AND used_at IS NULL'
    return (await sql.run(used, [hash, at])) === 1
  },

  prune(before) {
    return sql.run(
      `DELETE FROM enrolment_token WHERE hash IN (
         SELECT hash FROM enrolment_token WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`,
      [before, pruneLimit],
    )
  },
})
