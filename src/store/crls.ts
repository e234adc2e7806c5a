import { EverleafError } from '../errors.ts'
import type { CrlRecord, Instant } from '../model.ts'
import type { Sql } from './sql.ts'
import type { CrlReads, CrlWrites } from './store.ts'

interface Row {
  authority: string
  shard: number
  number: string
  this_update: Instant
  next_update: Instant
  entries: number
  digest: string
}

/** Our numbers are Unix milliseconds; what does not fit in 63 bits was never ours. */
const largestNumber = 2n ** 63n - 1n

const select = `SELECT authority, shard, CAST(number AS TEXT) AS number, this_update, next_update, entries, digest FROM crl`

const toRecord = (row: Row): CrlRecord => ({
  authority: row.authority,
  shard: row.shard,
  number: BigInt(row.number),
  thisUpdate: row.this_update,
  nextUpdate: row.next_update,
  entries: row.entries,
  digest: row.digest,
})

export const crlReads = (sql: Sql): CrlReads => ({
  async get(authority, shard) {
    const row = await sql.get<Row>(`${select} WHERE authority = $1 AND shard = $2`, [authority, shard])
    return row && toRecord(row)
  },

  async list() {
    return (await sql.all<Row>(`${select} ORDER BY authority, shard`)).map(toRecord)
  },
})

export const crlWrites = (sql: Sql): CrlWrites => {
  const reads = crlReads(sql)
  return {
    ...reads,

    async put(record) {
      const name = `CRL ${record.authority}/${record.shard}`
      if (record.number < 0n || record.number > largestNumber)
        throw new EverleafError('bad-input', `${name}: number ${record.number} is not between 0 and ${largestNumber}`)
      const changed = await sql.run(
        `INSERT INTO crl (authority, shard, number, this_update, next_update, entries, digest)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (authority, shard) DO UPDATE SET number = excluded.number, this_update = excluded.this_update,
           next_update = excluded.next_update, entries = excluded.entries, digest = excluded.digest
         WHERE excluded.number > crl.number`,
        [
          record.authority,
          record.shard,
          record.number,
          record.thisUpdate,
          record.nextUpdate,
          record.entries,
          record.digest,
        ],
      )
      if (changed === 0) {
        const recorded = await reads.get(record.authority, record.shard)
        const message = `${name}: number ${record.number} does not grow, ${recorded?.number} is recorded already`
        throw new EverleafError('conflict', message)
      }
    },
  }
}
