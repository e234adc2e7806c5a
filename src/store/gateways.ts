import type { GatewayRecord, GatewayState, Instant } from '../model.ts'
import type { Sql } from './sql.ts'
import type { GatewayReads, GatewayWrites } from './store.ts'

interface Row {
  name: string
  state: GatewayState
  truststore_version: number | null
  truststore_digest: string | null
  crl_digest: string | null
  message: string
  updated_at: Instant
}

const columns = 'name, state, truststore_version, truststore_digest, crl_digest, message, updated_at'

const toRecord = (row: Row): GatewayRecord => ({
  name: row.name,
  state: row.state,
  truststoreVersion: row.truststore_version,
  truststoreDigest: row.truststore_digest,
  crlDigest: row.crl_digest,
  message: row.message,
  updatedAt: row.updated_at,
})

export const gatewayReads = (sql: Sql): GatewayReads => ({
  async get(name) {
    const row = await sql.get<Row>(`SELECT ${columns} FROM gateway WHERE name = $1`, [name])
    return row && toRecord(row)
  },

  async list() {
    return (await sql.all<Row>(`SELECT ${columns} FROM gateway ORDER BY name`)).map(toRecord)
  },
})

export const gatewayWrites = (sql: Sql): GatewayWrites => ({
  ...gatewayReads(sql),

  async put(record) {
    await sql.run(
      `INSERT INTO gateway (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (name) DO UPDATE SET state = excluded.state, truststore_version = excluded.truststore_version,
         truststore_digest = excluded.truststore_digest, crl_digest = excluded.crl_digest, message = excluded.message,
         updated_at = excluded.updated_at`,
      [
        record.name,
        record.state,
        record.truststoreVersion,
        record.truststoreDigest,
        record.crlDigest,
        record.message,
        record.updatedAt,
      ],
    )
  },
})
