import { EverleafError } from '../errors.ts'
import type { Instant, TrustAnchor, TrustAnchorState } from '../model.ts'
import type { Sql } from './sql.ts'
import type { AnchorReads, AnchorWrites } from './store.ts'

interface Row {
  fingerprint: string
  subject: string
  source: TrustAnchor['source']
  state: TrustAnchorState
  not_after: Instant
  added_at: Instant
  der: Uint8Array
}

const columns = 'fingerprint, subject, source, state, not_after, added_at, der'

const toAnchor = (row: Row): TrustAnchor => ({
  fingerprint: row.fingerprint,
  subject: row.subject,
  der: row.der,
  source: row.source,
  state: row.state,
  notAfter: row.not_after,
  addedAt: row.added_at,
})

export const anchorReads = (sql: Sql): AnchorReads => ({
  async list() {
    return (await sql.all<Row>(`SELECT ${columns} FROM trust_anchor ORDER BY added_at, fingerprint`)).map(toAnchor)
  },
})

export const anchorWrites = (sql: Sql): AnchorWrites => ({
  ...anchorReads(sql),

  async insert(anchor) {
    await sql.run(
      `INSERT INTO trust_anchor (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (fingerprint) DO NOTHING`,
      [anchor.fingerprint, anchor.subject, anchor.source, anchor.state, anchor.notAfter, anchor.addedAt, anchor.der],
    )
  },

  async setState(fingerprint, state) {
    const changed = await sql.run('UPDATE trust_anchor SET state = $2 WHERE fingerprint = $1', [fingerprint, state])
    if (changed === 0) throw new EverleafError('not-found', `no trust anchor has the fingerprint ${fingerprint}`)
  },
})
