import { afterAll, beforeAll, expect, it } from 'vitest'
import { writes } from '../../src/store/aggregates.ts'
import { readMigrations } from '../../src/store/migrations.ts'
import type { Sql, SqlValue } from '../../src/store/sql.ts'
import { Connection } from '../../src/store/sqlite/connection.ts'
import { migrate } from '../../src/store/sqlite/migrate.ts'
import type { CertificateFilter, Writes } from '../../src/store/store.ts'
import * as records from '../support/records.ts'

/** Tables of a few rows, of which all are wanted. */
const small = ['certificate_count', 'crl', 'trust_anchor', 'gateway']

let connection: Connection
const statements = new Map<string, string>()
const called = new Set<string>()

const recorded = <T>(name: string, text: string, run: () => T): Promise<T> => {
  statements.set(text, name)
  return Promise.resolve(run())
}
/** The method that is running, for the failure's message. */
let running = ''
const sql: Sql = {
  all: <Row>(text: string, parameters: readonly SqlValue[] = []) =>
    recorded(running, text, () => connection.all<Row>(text, parameters)),
  get: <Row>(text: string, parameters: readonly SqlValue[] = []) =>
    recorded(running, text, () => connection.get<Row>(text, parameters)),
  run: (text, parameters = []) => recorded(running, text, () => connection.run(text, parameters)),
  pause: () => Promise.resolve(),
}

const aggregates = new Map<string, object>(Object.entries(writes(sql)))
/** `writes`, noting which methods are called. */
const tx = Object.fromEntries(
  [...aggregates].map(([name, aggregate]) => [
    name,
    new Proxy(aggregate, {
      get(target, method) {
        running = `${name}.${String(method)}`
        called.add(running)
        return Reflect.get(target, method)
      },
    }),
  ]),
) as unknown as Writes

/** Every method once, and those that build their text in every form that matters for the plan. */
async function useEverything(): Promise<void> {
  const certificate = records.certificate({
    token: records.hex(64),
    predecessor: { authority: 'issuing-g1', serial: '0a' },
  })
  const key = { authority: certificate.authority, serial: certificate.serial }
  const revocation = records.revocation(key)
  const token = records.token()
  const anchor = records.anchor()
  await tx.devices.put(records.device({ id: 'sensor-1' }))
  await tx.devices.get('sensor-1')
  await tx.devices.list({ limit: 10 })
  await tx.devices.list({ limit: 10, state: 'active' })
  await tx.devices.recordContact('sensor-1', { at: 1 })
  await tx.tokens.insert(token)
  await tx.tokens.get(token.hash)
  await tx.tokens.use(token.hash, 1)
  await tx.tokens.prune(1)
  await tx.certificates.insert(certificate)
  // More than one step of every filtered listing.
  for (const change of [{ state: 'confirmed' }, { state: 'superseded', source: 'partner' }] as const)
    for (let index = 0; index < 2_001; index++) await tx.certificates.insert(records.certificate(change))
  await tx.certificates.get(key)
  for (const filter of [
    {},
    { device: 'sensor-1' },
    { state: 'issued' },
    { source: 'issued' },
    { expiresBefore: 1 },
    { device: 'sensor-1', state: 'issued', source: 'issued', expiresBefore: 1 },
  ] as const)
    await tx.certificates.list({ ...filter, limit: 10_000 })
  await tx.certificates.successorsOf(key)
  await tx.certificates.forToken('00')
  await tx.certificates.liveOf('sensor-1', 'device')
  await tx.certificates.issuedSince('sensor-1', 1)
  await tx.certificates.dueForRenewal(1, 10)
  await tx.certificates.dueForAlert(1, 10)
  await tx.certificates.dueToExpire(1, 10)
  await tx.certificates.count()
  await tx.certificates.change(key, ['issued', 'delivered'], { state: 'confirmed', slot: 1 })
  await tx.certificates.prune(1, 10)
  await tx.revocations.insert(revocation)
  await tx.revocations.get(key)
  const { mark, chunks } = await tx.revocations.forCrl('issuing-g1', 0, null)
  for await (const chunk of chunks) expect(chunk).toHaveLength(1)
  await tx.revocations.countUnpublished('issuing-g1', 0)
  await tx.revocations.markPublished('issuing-g1', 0, 1n, mark)
  const span = { mark, published: 0, previousThisUpdate: null }
  expect(await tx.revocations.changesForCrl({ authority: 'issuing-g1', shard: 0 }, span, 1, 10)).not.toBeNull()
  await tx.revocations.prune('issuing-g1', 0, 1)
  await tx.crls.put(records.crl())
  await tx.crls.get('issuing-g1', 0)
  await tx.crls.list()
  await tx.anchors.insert(anchor)
  await tx.anchors.list()
  await tx.anchors.setState(anchor.fingerprint, 'retired')
  await tx.truststores.insert(records.truststore())
  await tx.truststores.latest()
  await tx.truststores.get(1)
  await tx.truststores.list(10)
  await tx.gateways.put(records.gateway())
  await tx.gateways.get('edge')
  await tx.gateways.list()
  const event = await tx.events.append(records.event())
  await tx.events.after(0, 10)
  await tx.events.tail(10)
  await tx.events.latest('sensor-1', ['CRL Stale'])
  await tx.events.setCursor('hook', 1)
  await tx.events.cursor('hook')
  await tx.events.park('hook', { event, attempts: 1, nextAttemptAt: 1, reason: '' })
  await tx.events.parkedSubjects('hook')
  await tx.events.parkedDue('hook', 1, 10)
  await tx.events.unpark('hook', event.sequence)
  await tx.events.prune(1, ['hook', 'log'])
  await tx.events.prune(1, [])
  await tx.profiles.record(records.profile(), 1)
  await tx.profiles.latest('device')
}

beforeAll(async () => {
  connection = new Connection(':memory:')
  migrate(connection, { file: ':memory:', known: readMigrations('sqlite'), at: null, empty: true })
  await useEverything()
})
afterAll(() => connection.close())

const planOf = (text: string): string[] =>
  connection.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`).map(({ detail }) => detail)

it('uses every read and write of the store here', () => {
  const methods = [...aggregates].flatMap(([name, aggregate]) => Object.keys(aggregate).map((one) => `${name}.${one}`))
  expect([...called].sort()).toEqual(methods.sort())
})

it('serves every query from an index', () => {
  const scans = [...statements].flatMap(([text, name]) =>
    planOf(text)
      .filter((step) => step.startsWith('SCAN ') && !/ USING (COVERING )?INDEX/.test(step))
      .filter((step) => !small.some((table) => step === `SCAN ${table}`))
      // No table: a row of values, and the few rows of a limited subquery.
      .filter((step) => !/^SCAN (CONSTANT ROW|oldest)$/.test(step))
      // From the end of the table, as far as the LIMIT.
      .filter(
        (step) => !(/^SCAN (event|truststore)$/.test(step) && /ORDER BY (sequence|version) DESC LIMIT/.test(text)),
      )
      .map((step) => `${name}: ${step} in ${text}`),
  )
  expect(scans).toEqual([])
})

it('sorts nothing of a sweep, a page of a listing, a prune or a CRL: an index has their order', () => {
  const ordered =
    /^(devices\.list|certificates\.(due|list|prune)|tokens\.prune|revocations\.(forCrl|prune)|events\.(after|tail|prune))/
  const sorting = [...statements]
    .filter(([text, name]) => ordered.test(name) && !/device = /.test(text))
    .filter(([text]) => planOf(text).some((step) => step.includes('TEMP B-TREE')))
  expect(sorting).toEqual([])
  // The certificates of one device, which are few, are sorted: the check above can fail.
  expect([...statements].some(([text]) => planOf(text).some((step) => step.includes('TEMP B-TREE')))).toBe(true)
})

it('finds what is due in the index of what may still fall due', () => {
  const expected = {
    'certificates.dueForRenewal': 'certificate_to_renew',
    'certificates.dueForAlert': 'certificate_to_alert',
    'certificates.dueToExpire': 'certificate_to_expire',
    'certificates.prune': 'certificate_to_prune',
    'revocations.countUnpublished': 'revocation_by_sequence',
  }
  for (const [method, index] of Object.entries(expected)) {
    const plans = [...statements].filter(([, name]) => name === method).flatMap(([text]) => planOf(text))
    expect(plans.join('\n')).toMatch(new RegExp(`SEARCH \\w+ USING (COVERING )?INDEX ${index} \\(.*[<>]`))
  }
})

it('walks a listing in steps with an end, each along the index that fits it', async () => {
  const plansOf = async (filter: Partial<CertificateFilter>) => {
    statements.clear()
    await tx.certificates.list({ ...filter, limit: 10_000 })
    return [...statements.keys()].flatMap(planOf)
  }
  const between = (index: string) => expect.stringMatching(new RegExp(`INDEX ${index} \\(.*\\(authority,serial\\)>.*<`))
  expect(await plansOf({ state: 'issued' })).toContainEqual(between('certificate_by_key'))
  expect(await plansOf({ expiresBefore: 1 })).toContainEqual(between('certificate_by_key'))
  expect(await plansOf({ state: 'superseded', expiresBefore: 1 })).toContainEqual(between('certificate_by_state'))
  expect(await plansOf({ state: 'superseded', source: 'partner' })).toContainEqual(between('certificate_by_state'))
  expect(await plansOf({ source: 'partner', expiresBefore: 1 })).toContainEqual(between('certificate_by_source'))
  expect(await plansOf({ source: 'partner', state: 'confirmed' })).toContainEqual(between('certificate_by_source'))
  const ofOneIndex = (index: string) => [
    expect.stringMatching(new RegExp(`^SEARCH certificate USING INDEX ${index} \\(`)),
  ]
  expect(await plansOf({ state: 'revoked' })).toEqual(ofOneIndex('certificate_by_state'))
  expect(await plansOf({ source: 'listener' })).toEqual(ofOneIndex('certificate_by_source'))
  expect(await plansOf({})).toEqual(ofOneIndex('certificate_by_key'))
  expect((await plansOf({ device: 'sensor-1', state: 'issued' }))[0]).toMatch(/INDEX certificate_by_device \(device=/)
})
