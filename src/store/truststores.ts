import type { Instant, TruststoreRecord } from '../model.ts'
import { readJson, type Sql } from './sql.ts'
import type { TruststoreReads, TruststoreWrites } from './store.ts'

interface Row {
  version: number
  digest: string
  anchors: string
  pem: string
  published_at: Instant
}

const columns = 'version, digest, anchors, pem, published_at'

const toRecord = (row: Row): TruststoreRecord => ({
  version: row.version,
  digest: row.digest,
  anchors: readJson(row.anchors, `anchors of truststore ${row.version}`),
  pem: row.pem,
  publishedAt: row.published_at,
})

export const truststoreReads = (sql: Sql): TruststoreReads => {
  const list = async (limit: number): Promise<TruststoreRecord[]> =>
    (await sql.all<Row>(`SELECT ${columns} FROM truststore ORDER BY version DESC LIMIT $1`, [limit])).map(toRecord)
  return {
    list,

    async latest() {
      return (await list(1))[0] ?? null
    },

    async get(version) {
      const row = await sql.get<Row>(`SELECT ${columns} FROM truststore WHERE version = $1`, [version])
      return row && toRecord(row)
    },
  }
}

export const truststoreWrites = (sql: Sql): TruststoreWrites => ({
  ...truststoreReads(sql),

  async insert(record) {
    await sql.run(`INSERT INTO truststore (${columns}) VALUES ($1, $2, $3, $4, $5)`, [
      record.version,
      record.digest,
      JSON.stringify(record.anchors),
      record.pem,
      record.publishedAt,
    ])
  },
})
