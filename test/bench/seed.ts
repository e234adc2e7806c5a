import { randomBytes } from 'node:crypto'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

const day = 86_400_000

export interface SeedCertificates {
  count: number
  /** How many of them are due for renewal now; of the others the first is due in an hour. */
  due: number
  now: number
  authority: string
  /** A certificate of a device; each row has it with a serial of its own. */
  template: Uint8Array
  /** The serial of the template, lower-case hexadecimal. */
  serial: string
}

/**
 * Puts certificates straight into the file of a store that nobody has open: one confirmed certificate for each of `count`
 * devices, spread over ninety days of life. Indexes and triggers are taken out and made again by the store's own texts.
 */
export const seedCertificates = (file: string, wanted: SeedCertificates): void =>
  bulk(file, ['certificate', 'device'], (database) => {
    const { count, due, now, authority, template, serial } = wanted
    const place = Buffer.from(template).indexOf(Buffer.from(serial, 'hex'))
    const insertDevice = database.prepare(
      `INSERT INTO device (id, profile, labels, state, created_at) VALUES (?, 'device', '{}', 'active', ?)`,
    )
    const insert = database.prepare(
      `INSERT INTO certificate (authority, serial, device, profile, source, state, subject, spki_sha256, not_before,
         not_after, slot, issued_at, delivered_at, confirmed_at, crl_shard, next_alert_at, der)
       VALUES ('${authority}', ?1, ?2, 'device', 'issued', 'confirmed', 'CN=' || ?2, ?3, ?4, ?5, ?6, ?4, ?4, ?4, 0, ?7, ?8)`,
    )
    const random = randomPool()
    const spread = (60 * day) / Math.max(1, count - due)
    for (let index = 0; index < count; index += 1) {
      const bytes = random(16)
      bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
      bytes.copy(template as Buffer, place)
      const slot = index < due ? now - 1_000 - index : Math.floor(now + 3_600_000 + (index - due) * spread)
      const notBefore = slot - 60 * day
      const id = `device-${String(index).padStart(8, '0')}`
      insertDevice.run(id, notBefore)
      insert.run(
        bytes.toString('hex'),
        id,
        random(32).toString('hex'),
        notBefore,
        notBefore + 90 * day,
        slot,
        slot + 4 * day,
        template,
      )
    }
    database.exec(`UPDATE certificate_count SET total = total + ${count} WHERE state = 'confirmed'`)
  })

/** The same for revocations that no CRL holds yet, in the order of their serials. */
export const seedRevocations = (
  file: string,
  { count, now, authority }: { count: number; now: number; authority: string },
): void =>
  bulk(file, ['revocation'], (database) => {
    const insert = database.prepare(
      `INSERT INTO revocation (authority, crl_shard, serial, sequence, revoked_at, reason, not_after)
       VALUES ('${authority}', 0, ?, ?, ?, ?, ?)`,
    )
    const reasons = ['keyCompromise', 'superseded', 'cessationOfOperation', 'unspecified']
    for (const [index, serial] of ascendingSerials(count).entries()) {
      const age = ((index * 2_654_435_761) % (30 * 86_400)) * 1_000
      insert.run(serial, index + 1, now - age, reasons[index % 4] ?? '', now + 60 * day)
    }
    database.exec(`INSERT INTO revocation_sequence (authority, crl_shard, last) VALUES ('${authority}', 0, ${count})`)
  })

/** And for events of `subjects` devices in turn. */
export const seedEvents = (
  file: string,
  { count, subjects, now }: { count: number; subjects: number; now: number },
): void =>
  bulk(file, ['event'], (database) => {
    const insert: StatementSync = database.prepare(
      `INSERT INTO event (id, time, detail_type, subject, detail) VALUES (?, ?, 'Certificate Renewed', ?, ?)`,
    )
    const random = randomPool()
    for (let index = 0; index < count; index += 1) {
      const device = `device-${index % subjects}`
      const serial = random(16).toString('hex')
      const detail = {
        CommonName: device,
        CertificateAuthority: 'issuing-g1',
        SerialNumber: serial,
        NotAfter: '2030-01-01T00:00:00.000Z',
        DeviceId: device,
        Profile: 'device',
        Source: 'issued',
        NotBefore: '2029-10-01T00:00:00.000Z',
        PredecessorSerialNumber: serial,
        Keys: 'rekey',
      }
      insert.run(random(16).toString('hex'), now, device, JSON.stringify(detail))
    }
  })

/** Serials as ours are: 16 octets, the first two bits 01; evenly spread and growing. */
export function* serialBytes(count: number): Generator<Buffer> {
  const random = randomPool()
  const step = 2 ** 46 / count
  for (let index = 0; index < count; index += 1) {
    const bytes = random(16)
    bytes.writeUIntBE(2 ** 46 + Math.floor(index * step), 0, 6)
    yield bytes
  }
}

const ascendingSerials = (count: number) => ({
  *entries(): Generator<[number, string]> {
    let index = 0
    for (const bytes of serialBytes(count)) yield [index++, bytes.toString('hex')]
  },
})

/** Random bytes from one large draw after the other; each is good until 65,536 bytes later. */
const randomPool = (): ((length: number) => Buffer) => {
  let pool = randomBytes(1 << 16)
  let used = 0
  return (length) => {
    if (used + length > pool.length) {
      pool = randomBytes(1 << 16)
      used = 0
    }
    used += length
    return pool.subarray(used - length, used)
  }
}

/** One transaction without durability, and without what would be kept up row by row. */
const bulk = (file: string, tables: readonly string[], fill: (database: DatabaseSync) => void): void => {
  const database = new DatabaseSync(file)
  try {
    database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN')
    const list = tables.map((table) => `'${table}'`).join(', ')
    const kept = database
      .prepare(
        `SELECT type, name, sql FROM sqlite_schema
         WHERE type IN ('index', 'trigger') AND tbl_name IN (${list}) AND sql IS NOT NULL`,
      )
      .all()
    for (const { type, name } of kept) database.exec(`DROP ${type} ${name}`)
    fill(database)
    for (const { sql } of kept) database.exec(String(sql))
    database.exec('COMMIT; PRAGMA optimize = 0x10002; PRAGMA journal_mode = WAL')
  } finally {
    database.close()
  }
}
