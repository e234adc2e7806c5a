import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { gatherRevocations, recallLive } from '../../src/lifecycle/gather-revocations.ts'
import { crlKey, type Ports } from '../../src/lifecycle/ports.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import type { Revocation } from '../../src/model.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import { sha256Hex } from '../../src/pki/digest.ts'
import { concat } from '../../src/protocol/der.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { hex, revocation } from '../support/records.ts'
import { day, makeWorld, type World } from '../support/world.ts'

const of = { authority: 'issuing-g1', shard: 0 }
const key = crlKey(of.authority, of.shard)
const hour = 3_600_000

let world: World
/** How often every row was read for a CRL. */
let fullReads = 0
const counting = (ports: Ports): Ports => ({
  ...ports,
  store: {
    ...ports.store,
    revocations: {
      ...ports.store.revocations,
      forCrl(...given) {
        fullReads += 1
        return ports.store.revocations.forCrl(...given)
      },
    },
  },
})
const start = async (settings: Partial<Ports['settings']> = {}) => {
  fullReads = 0
  world = await makeWorld({ wrap: counting, settings })
}

const revoke = (...changes: Array<Partial<Revocation>>) => {
  const rows = changes.map((change) =>
    revocation({ serial: `4${hex(31)}`, notAfter: world.clock.now() + 60 * day, ...change }),
  )
  return world.ports.store
    .transaction(async (tx) => {
      for (const row of rows) await tx.revocations.insert(row)
    })
    .then(() => rows.map(({ serial }) => serial))
}
const publish = async (ports = world.ports) => {
  await world.clock.advance(1_000)
  return publishCrl({ ...of, force: true }, ports)
}
const live = async () => parseCrl((await world.ports.publication.get(key))?.bytes ?? new Uint8Array())
const serials = async () => [...(await live()).entries()].map(({ serial }) => serial)
const file = () => join(world.directory, 'published', key)
const readsDuring = async (work: () => Promise<unknown>) => {
  const before = fullReads
  await work()
  return fullReads - before
}

describe('a CRL that continues the live one', () => {
  beforeEach(() => start())
  afterEach(() => world.stop())

  test('reads the rows once for each process, and then only what changed', async () => {
    const first = await revoke({}, {}, {})
    expect(await readsDuring(publish)).toBe(1)
    const second = await revoke({}, {})
    expect(await readsDuring(publish)).toBe(0)
    expect(await serials()).toEqual([...first, ...second].sort())
    expect(await readsDuring(publish)).toBe(0)
    expect(await serials()).toEqual([...first, ...second].sort())
  })

  test('leaves out what expired before the last one, as one of the rows does', async () => {
    const kept = await revoke({})
    const [gone = ''] = await revoke({ notAfter: world.clock.now() + hour })
    const late = await revoke({ notAfter: world.clock.now() - 9 * day })
    await publish()
    await world.clock.advance(4 * hour)
    await publish()
    expect(await serials()).toEqual([...kept, gone].sort())
    expect(await serials()).not.toContain(late[0])
    await world.clock.advance(4 * hour)
    expect(await readsDuring(publish)).toBe(0)
    expect(await serials()).toEqual(kept)
  })

  test('is made of the rows again when the time of a refresh has passed', async () => {
    await revoke({})
    await publish()
    await world.clock.advance(world.ports.settings.crl.refresh)
    expect(await readsDuring(publish)).toBe(1)
    expect(await readsDuring(publish)).toBe(0)
  })
})

describe('a CRL is made of the rows', () => {
  beforeEach(() => start())
  afterEach(() => world.stop())

  test('when an older CRL of ours was put in place of the live one', async () => {
    const held = await revoke({}, {})
    await publish()
    for (const name of ['old.crl', 'old.json']) {
      await copyFile(name === 'old.crl' ? file() : `${file()}.manifest.json`, join(world.directory, name))
    }
    held.push(...(await revoke({})))
    await publish()
    await copyFile(join(world.directory, 'old.crl'), file())
    expect(await readsDuring(publish)).toBe(1)
    expect(await serials()).toEqual(held.sort())
    const { number } = await live()
    await copyFile(join(world.directory, 'old.crl'), file())
    await copyFile(join(world.directory, 'old.json'), `${file()}.manifest.json`)
    expect(await readsDuring(publish)).toBe(1)
    expect(await serials()).toEqual(held.sort())
    expect((await live()).number).toBeGreaterThan(number)
  })

  test('when another CRL of ours is live, whose entries are adopted', async () => {
    const held = await revoke({})
    await publish()
    const { number, thisUpdate, nextUpdate } = await live()
    const [known = '', foreign = ''] = [held[0], 'f0'.repeat(10).replace('f', '5')]
    const other = await world.ports.authorities.all
      .find(({ id }) => id === of.authority)
      ?.crlSigner?.signCrl({
        number: number + 5n,
        thisUpdate,
        nextUpdate,
        entries: [known, foreign].map((serial) => ({ serial, revokedAt: thisUpdate, reason: 'keyCompromise' })),
      })
    const der = other?.der ?? new Uint8Array()
    const manifest = JSON.parse(await readFile(`${file()}.manifest.json`, 'utf8'))
    await writeFile(file(), der)
    await writeFile(
      `${file()}.manifest.json`,
      JSON.stringify({ ...manifest, sha256: sha256Hex(der), version: String(number + 5n), count: 2 }),
    )
    expect(await readsDuring(publish)).toBe(1)
    expect((await serials()).sort()).toEqual([known, foreign].sort())
    expect((await live()).number).toBeGreaterThan(number + 5n)
  })

  test('when the record is not of the live one', async () => {
    const held = await revoke({}, {})
    await publish()
    tamper(`UPDATE crl SET digest = '${'0'.repeat(64)}' WHERE authority = '${of.authority}'`)
    expect(await readsDuring(publish)).toBe(1)
    expect(await serials()).toEqual(held.sort())
  })

  test('when the store lost a row, and is then refused: an entry never disappears', async () => {
    const held = await revoke({}, {}, {})
    await publish()
    tamper(`DELETE FROM revocation WHERE serial = '${held[1]}'`)
    await revoke({})
    const before = await live()
    await expect(publish()).rejects.toThrow(/missing here before one CRL past its expiry/)
    expect(fullReads).toBe(2)
    expect((await live()).number).toBe(before.number)
    expect(await serials()).toEqual(held.sort())
  })

  test('when the store gained a row below the mark, which is then in it', async () => {
    const held = await revoke({}, {})
    await publish()
    const gained = '47'.repeat(16)
    tamper(`INSERT INTO revocation (authority, crl_shard, serial, sequence, revoked_at, reason, not_after)
      SELECT authority, crl_shard, '${gained}', 1, revoked_at, reason, not_after FROM revocation
      WHERE serial = '${held[0]}'`)
    expect(await readsDuring(publish)).toBe(1)
    expect(await serials()).toEqual([...held, gained].sort())
  })

  test('after a restore of an older store, and holds what only the live one knew', async () => {
    const held = await revoke({})
    await publish()
    const copy = join(world.directory, 'copy.db')
    const backup = new DatabaseSync(world.databaseFile)
    backup.exec(`VACUUM INTO '${copy}'`)
    backup.close()
    held.push(...(await revoke({})))
    await publish()
    const restored = counting({ ...world.ports, store: await openSqlite({ file: copy }) })
    try {
      expect(await readsDuring(() => publish(restored))).toBe(1)
      expect(await serials()).toEqual(held.sort())
      expect(await readsDuring(() => publish(restored))).toBe(0)
      expect(await serials()).toEqual(held.sort())
      // The one before the restore knows another digest, and nothing is lost by it either.
      await expect(publish()).resolves.toBeDefined()
      expect(await serials()).toEqual(held.sort())
    } finally {
      await restored.store.close()
    }
  })
})

/** Behind the back of the store. */
const tamper = (text: string): void => {
  const database = new DatabaseSync(world.databaseFile)
  try {
    expect(database.prepare(text).run().changes).toBe(1)
  } finally {
    database.close()
  }
}

const step = fc.record({
  revocations: fc.array(
    fc.record({
      expiresIn: fc.integer({ min: -30, max: 60 }).map((count) => count * hour),
      publishedIn: fc.option(fc.constant(3n), { freq: 6 }),
    }),
    { maxLength: 4 },
  ),
  pass: fc.integer({ min: -3, max: 30 }).map((count) => count * hour),
  diesAfterPut: fc.boolean(),
})

test('whatever is revoked and expires in between, it equals one of the rows octet by octet', async () => {
  let continued = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
      await start({ crl: { validity: 40 * day, refresh: 20 * day }, retention: { certificates: day, events: day } })
      const { store, publication, settings, clock } = world.ports
      try {
        for (const { revocations, pass, diesAfterPut } of steps) {
          await revoke(
            ...revocations.map(({ expiresIn, publishedIn }) => ({
              notAfter: world.clock.now() + expiresIn,
              publishedIn,
            })),
          )
          world.clock.set(world.clock.now() + pass)
          const artefact = await publication.get(key)
          const record = await store.crls.get(of.authority, of.shard)
          const wanted = { of, record, refresh: settings.crl.refresh, now: clock.now() }
          const before = fullReads
          const next = await gatherRevocations({ ...wanted, recalled: recallLive(of, artefact, store) }, store)
          if (fullReads === before) continued += 1
          const plain = await gatherRevocations({ ...wanted, recalled: null }, store)
          expect(Buffer.from(concat(...next.entries.chunks)).equals(concat(...plain.entries.chunks))).toBe(true)
          expect(next.entries).toMatchObject({ count: plain.entries.count, bytes: plain.entries.bytes })
          expect(next.span.mark).toBe(plain.span.mark)
          await publishCrl({ ...of, force: true }, diesAfterPut ? dyingPorts() : world.ports).catch((error) => {
            if (!diesAfterPut) throw error
          })
        }
      } finally {
        await world.stop()
      }
    }),
    { seed: 20_270_102, numRuns: 15 },
  )
  expect(continued).toBeGreaterThan(25)
}, 60_000)

const dyingPorts = (): Ports => ({
  ...world.ports,
  publication: {
    ...world.ports.publication,
    async put(...call) {
      await world.ports.publication.put(...call)
      throw new Error('the process died')
    },
  },
})
