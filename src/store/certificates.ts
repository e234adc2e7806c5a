import type { Certificate, CertificateKey, CertificateSource, CertificateState, Instant } from '../model.ts'
import { placeholders, pruneLimit, type Sql, type SqlValue } from './sql.ts'
import type { CertificateChange, CertificateFilter, CertificateReads, CertificateWrites } from './store.ts'

interface Row {
  authority: string
  serial: string
  device: string | null
  profile: string | null
  source: CertificateSource
  state: CertificateState
  subject: string
  spki_sha256: string
  not_before: Instant
  not_after: Instant
  slot: Instant | null
  renewal_opened_at: Instant | null
  predecessor_authority: string | null
  predecessor_serial: string | null
  token: string | null
  issued_at: Instant
  delivered_at: Instant | null
  confirmed_at: Instant | null
  superseded_at: Instant | null
  crl_shard: number
  next_alert_at: Instant | null
  der: Uint8Array
}

const columns = `authority, serial, device, profile, source, state, subject, spki_sha256, not_before, not_after, slot,
  renewal_opened_at, predecessor_authority, predecessor_serial, token, issued_at, delivered_at, confirmed_at,
  superseded_at, crl_shard, next_alert_at, der`
const allPlaceholders = placeholders(22)
const select = `SELECT ${columns} FROM certificate`
const ordered = 'ORDER BY authority, serial'

/** Written as in the partial indexes: a planner uses one only where it recognises its condition. */
const live = `state IN ('issued', 'delivered', 'confirmed')`
const anyState = `state IN ('issued', 'delivered', 'confirmed', 'superseded', 'revoked', 'expired')`

/** Certificates that one step of a filtered listing looks at. */
const listStep = 2_000

const toCertificate = (row: Row): Certificate => ({
  authority: row.authority,
  serial: row.serial,
  device: row.device,
  profile: row.profile,
  source: row.source,
  state: row.state,
  subject: row.subject,
  spkiSha256: row.spki_sha256,
  der: row.der,
  notBefore: row.not_before,
  notAfter: row.not_after,
  slot: row.slot,
  renewalOpenedAt: row.renewal_opened_at,
  predecessor:
    row.predecessor_authority === null || row.predecessor_serial === null
      ? null
      : { authority: row.predecessor_authority, serial: row.predecessor_serial },
  token: row.token,
  issuedAt: row.issued_at,
  deliveredAt: row.delivered_at,
  confirmedAt: row.confirmed_at,
  supersededAt: row.superseded_at,
  crlShard: row.crl_shard,
  nextAlertAt: row.next_alert_at,
})

/** In the order of `columns`. */
const toValues = (certificate: Certificate): SqlValue[] => [
  certificate.authority,
  certificate.serial,
  certificate.device,
  certificate.profile,
  certificate.source,
  certificate.state,
  certificate.subject,
  certificate.spkiSha256,
  certificate.notBefore,
  certificate.notAfter,
  certificate.slot,
  certificate.renewalOpenedAt,
  certificate.predecessor?.authority ?? null,
  certificate.predecessor?.serial ?? null,
  certificate.token,
  certificate.issuedAt,
  certificate.deliveredAt,
  certificate.confirmedAt,
  certificate.supersededAt,
  certificate.crlShard,
  certificate.nextAlertAt,
  certificate.der,
]

interface Walk {
  /** Conditions that the index itself answers, after `(authority, serial) > ($1, $2)`. */
  indexed: string[]
  /** Conditions that each certificate on the way is looked at for. */
  others: string[]
  /** Of the indexed ones, then of the others. */
  values: SqlValue[]
}

/** The index that a listing walks: a device's, that of one of the rarer states or sources, or that of all keys. */
function walkFor({ device, state, source, expiresBefore }: CertificateFilter): Walk {
  const walk: Walk = { indexed: [], others: [], values: [] }
  const add = (terms: string[], term: string, value: SqlValue) => {
    terms.push(term.replace('?', `$${walk.values.push(value) + 2}`))
  }
  const rareState = device === undefined && state !== undefined && state !== 'issued' && state !== 'confirmed'
  const rareSource = device === undefined && !rareState && source !== undefined && source !== 'issued'
  if (device !== undefined) add(walk.indexed, 'device = ?', device)
  if (rareState) add(walk.indexed, `state = ? AND state NOT IN ('issued', 'confirmed')`, state)
  if (rareSource) add(walk.indexed, `source = ? AND source <> 'issued'`, source)
  if (state !== undefined && !rareState) add(walk.others, 'state = ?', state)
  if (source !== undefined && !rareSource) add(walk.others, 'source = ?', source)
  if (expiresBefore !== undefined) add(walk.others, 'not_after < ?', expiresBefore)
  return walk
}

/**
 * Walks an index in the order of the keys, `listStep` certificates at a time. However rare the wanted ones are, no step
 * is long, and issuing pays for no index that only a listing would read.
 */
async function list(sql: Sql, filter: CertificateFilter): Promise<Certificate[]> {
  const { indexed, others, values } = walkFor(filter)
  const beyond = ['(authority, serial) > ($1, $2)', ...indexed].join(' AND ')
  const indexValues = values.slice(0, indexed.length)
  const inSteps = others.length > 0 && filter.device === undefined
  const found: Row[] = []
  for (let after: CertificateKey = filter.after ?? { authority: '', serial: '' }; ; ) {
    const from = [after.authority, after.serial]
    const end = inSteps
      ? await sql.get<CertificateKey>(
          `SELECT authority, serial FROM certificate WHERE ${beyond} ${ordered} LIMIT 1 OFFSET $${indexed.length + 3}`,
          [...from, ...indexValues, listStep - 1],
        )
      : null
    const all = [...from, ...values]
    const terms = [beyond, ...others]
    if (end) terms.push(`(authority, serial) <= ($${all.push(end.authority)}, $${all.push(end.serial)})`)
    const limit = `LIMIT $${all.push(filter.limit - found.length)}`
    found.push(...(await sql.all<Row>(`${select} WHERE ${terms.join(' AND ')} ${ordered} ${limit}`, all)))
    if (!end || found.length >= filter.limit) return found.map(toCertificate)
    after = end
    await sql.pause()
  }
}

export const certificateReads = (sql: Sql): CertificateReads => {
  const all = async (rest: string, values: SqlValue[]): Promise<Certificate[]> =>
    (await sql.all<Row>(`${select} ${rest}`, values)).map(toCertificate)
  return {
    async get({ authority, serial }) {
      const row = await sql.get<Row>(`${select} WHERE authority = $1 AND serial = $2`, [authority, serial])
      return row && toCertificate(row)
    },

    list: (filter) => list(sql, filter),

    successorsOf: ({ authority, serial }) =>
      all('WHERE predecessor_authority = $1 AND predecessor_serial = $2 ORDER BY issued_at, id', [authority, serial]),

    forToken: (hash) => all('WHERE token = $1 ORDER BY issued_at, id', [hash]),

    liveOf: (device, profile) =>
      all(`WHERE device = $1 AND ${live} AND profile = $2 ORDER BY issued_at DESC, id DESC`, [device, profile]),

    async issuedSince(device, since) {
      const rows = await sql.all<{ issued_at: Instant }>(
        `SELECT issued_at FROM certificate WHERE device = $1 AND ${anyState} AND issued_at >= $2 ORDER BY issued_at`,
        [device, since],
      )
      return rows.map((row) => row.issued_at)
    },

    dueForRenewal: (now, limit) =>
      all(
        `WHERE slot <= $1 AND renewal_opened_at IS NULL AND ${live} AND source IN ('issued', 'listener')
         ORDER BY slot LIMIT $2`,
        [now, limit],
      ),

    dueForAlert: (now, limit) => all('WHERE next_alert_at <= $1 ORDER BY next_alert_at LIMIT $2', [now, limit]),

    dueToExpire: (now, limit) =>
      all(`WHERE not_after < $1 AND state NOT IN ('expired', 'revoked') ORDER BY not_after LIMIT $2`, [now, limit]),

    async count() {
      const totals = { issued: 0, delivered: 0, confirmed: 0, superseded: 0, revoked: 0, expired: 0 }
      for (const row of await sql.all<{ state: CertificateState; total: number }>(
        'SELECT state, total FROM certificate_count',
      ))
        totals[row.state] = row.total
      return totals
    },
  }
}

const changeable = {
  state: 'state',
  slot: 'slot',
  renewalOpenedAt: 'renewal_opened_at',
  deliveredAt: 'delivered_at',
  confirmedAt: 'confirmed_at',
  supersededAt: 'superseded_at',
  nextAlertAt: 'next_alert_at',
} as const satisfies Record<keyof CertificateChange, string>

export const certificateWrites = (sql: Sql): CertificateWrites => ({
  ...certificateReads(sql),

  async insert(certificate) {
    await sql.run(`INSERT INTO certificate (${columns}) VALUES (${allPlaceholders})`, toValues(certificate))
  },

  async change({ authority, serial }, from, change) {
    const values: SqlValue[] = [authority, serial]
    const marks = (Object.keys(changeable) as Array<keyof CertificateChange>).flatMap((field) => {
      const value = change[field]
      return value === undefined ? [] : [`${changeable[field]} = $${values.push(value)}`]
    })
    const states = placeholders(from.length, values.length)
    const changed = await sql.run(
      `UPDATE certificate SET ${marks.join(', ') || 'state = state'}
       WHERE authority = $1 AND serial = $2 AND state IN (${states})`,
      [...values, ...from],
    )
    return changed === 1
  },

  prune: (before, limit) =>
    sql.run(
      `DELETE FROM certificate WHERE id IN (
         SELECT id FROM certificate WHERE not_after < $1 AND state IN ('expired', 'revoked') AND NOT EXISTS (
           SELECT 1 FROM revocation
           WHERE revocation.authority = certificate.authority AND revocation.serial = certificate.serial)
         ORDER BY not_after LIMIT $2)`,
      [before, Math.min(limit, pruneLimit)],
    ),
})
