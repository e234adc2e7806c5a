import type { Device, DeviceState, Instant } from '../model.ts'
import { readJson, type Sql } from './sql.ts'
import type { DeviceReads, DeviceWrites } from './store.ts'

interface Row {
  id: string
  profile: string
  labels: string
  state: DeviceState
  created_at: Instant
  last_contact_at: Instant | null
  agent_version: string | null
  last_error: string | null
}

const columns = 'id, profile, labels, state, created_at, last_contact_at, agent_version, last_error'

const toDevice = (row: Row): Device => ({
  id: row.id,
  profile: row.profile,
  labels: readJson(row.labels, `labels of device ${row.id}`),
  state: row.state,
  createdAt: row.created_at,
  lastContactAt: row.last_contact_at,
  agentVersion: row.agent_version,
  lastError: row.last_error,
})

export const deviceReads = (sql: Sql): DeviceReads => ({
  async get(id) {
    const row = await sql.get<Row>(`SELECT ${columns} FROM device WHERE id = $1`, [id])
    return row && toDevice(row)
  },

  async list({ state, after = '', limit }) {
    const rows = state
      ? await sql.all<Row>(`SELECT ${columns} FROM device WHERE state = $3 AND id > $1 ORDER BY id LIMIT $2`, [
          after,
          limit,
          state,
        ])
      : await sql.all<Row>(`SELECT ${columns} FROM device WHERE id > $1 ORDER BY id LIMIT $2`, [after, limit])
    return rows.map(toDevice)
  },
})

export const deviceWrites = (sql: Sql): DeviceWrites => ({
  ...deviceReads(sql),

  async put(device) {
    await sql.run(
      `INSERT INTO device (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (id) DO UPDATE SET profile = excluded.profile, labels = excluded.labels, state = excluded.state`,
      [
        device.id,
        device.profile,
        JSON.stringify(device.labels),
        device.state,
        device.createdAt,
        device.lastContactAt,
        device.agentVersion,
        device.lastError,
      ],
    )
  },

  async recordContact(id, { at, agentVersion, lastError }) {
    await sql.run(
      `UPDATE device SET last_contact_at = $2, agent_version = coalesce($3, agent_version),
         last_error = CASE WHEN $4 = 1 THEN $5 ELSE last_error END
       WHERE id = $1`,
      [id, at, agentVersion ?? null, lastError === undefined ? 0 : 1, lastError ?? null],
    )
  },
})
