import type { Profile } from '../model.ts'
import { readJson, type Sql } from './sql.ts'
import type { ProfileReads, ProfileWrites } from './store.ts'

/** JSON with sorted keys, so that a config file written in another order is not another profile. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )

interface Row {
  version: number
  profile: string
}

const newest = (sql: Sql, name: string): Promise<Row | null> =>
  sql.get<Row>('SELECT version, profile FROM profile_version WHERE name = $1 ORDER BY version DESC LIMIT 1', [name])

export const profileReads = (sql: Sql): ProfileReads => ({
  async latest(name) {
    const row = await newest(sql, name)
    return row && { version: row.version, profile: readJson<Profile>(row.profile, `profile ${name}`) }
  },
})

export const profileWrites = (sql: Sql): ProfileWrites => ({
  ...profileReads(sql),

  async record(profile, at) {
    const text = canonical(profile)
    const recorded = await newest(sql, profile.name)
    if (recorded?.profile === text) return recorded.version
    const version = (recorded?.version ?? 0) + 1
    await sql.run('INSERT INTO profile_version (name, version, profile, recorded_at) VALUES ($1, $2, $3, $4)', [
      profile.name,
      version,
      text,
      at,
    ])
    return version
  },
})
