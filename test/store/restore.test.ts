import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { backupSqlite } from '../../src/store/backup.ts'
import { restoreSqlite } from '../../src/store/restore.ts'
import type { Store } from '../../src/store/store.ts'
import { codeOf } from '../contract/store/fresh.ts'
import { certificate, crl, device, event, revocation, start, truststore } from '../support/records.ts'
import { testFolder } from './folder.ts'

const folder = testFolder()
const file = () => folder.path('everleaf.db')
const copy = () => folder.path('copy.db')
const restore = () => restoreSqlite({ from: copy(), into: file() })

/** Writes, takes the backup, writes more. */
async function history(before: (store: Store) => Promise<unknown>, after: (store: Store) => Promise<unknown>) {
  const store = await folder.open()
  await before(store)
  await store.backup(copy())
  await after(store)
  await store.close()
}

/** Writes garbage over some pages. */
function breakPages(path: string, from: number, count: number): void {
  const bytes = readFileSync(path)
  bytes.fill(0x5a, from * 4_096, (from + count) * 4_096)
  writeFileSync(path, bytes)
}

/** Makes a table unreadable from its root. */
function breakTable(path: string, table: string): void {
  const database = new DatabaseSync(path, { readOnly: true })
  const found = database.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(table)
  database.close()
  breakPages(path, Number(found?.rootpage) - 1, 1)
}

describe('a restored database', () => {
  it('is the backup where nothing was there, and knows nothing else', async () => {
    const given = certificate()
    await folder.with(async (store) => {
      await store.transaction((tx) => tx.certificates.insert(given))
      await store.backup(copy())
    }, 'other.db')
    const steps: Array<[number, number]> = []
    const progress = (done: number, total: number) => steps.push([done, total])
    const result = await restoreSqlite({ from: copy(), into: file(), progress })
    expect(result).toEqual({ replaced: null, carried: {}, unread: [] })
    expect(steps.at(-1)?.[0]).toBe(steps.at(-1)?.[1])
    expect(await folder.with((store) => store.certificates.get(given))).toEqual(given)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
  })

  it('keeps the replaced one under another name, each time a new one', async () => {
    const [first, second] = [device({ id: 'first' }), device({ id: 'second' })]
    await history(
      (store) => store.transaction((tx) => tx.devices.put(first)),
      (store) => store.transaction((tx) => tx.devices.put(second)),
    )
    expect((await restore()).replaced).toBe(`${file()}.replaced-1`)
    expect((await restore()).replaced).toBe(`${file()}.replaced-2`)
    const kept = await folder.with((store) => store.devices.list({ limit: 9 }), 'everleaf.db.replaced-1')
    expect(kept).toEqual([first, second])
    expect(existsSync(`${file()}.restoring`)).toBe(false)
  })

  it('says what it took over', async () => {
    await history(
      async () => undefined,
      (store) =>
        store.transaction(async (tx) => {
          const given = certificate({ state: 'revoked' })
          await tx.certificates.insert(given)
          await tx.revocations.insert(revocation({ serial: given.serial }))
          await tx.devices.put(device())
          await tx.crls.put(crl())
          await tx.truststores.insert(truststore())
          await tx.events.append(event())
          await tx.events.append(event())
        }),
    )
    const { carried, unread } = await restore()
    expect(unread).toEqual([])
    expect(carried).toEqual({ certificates: 1, revocations: 1, devices: 1, crls: 1, truststores: 1, events: 2 })
  })
})

describe('a database that cannot be read', () => {
  const given = certificate()
  const before = (store: Store) => store.transaction((tx) => tx.certificates.insert(given))
  const restoredWithout = async (damage: () => void) => {
    await history(before, (store) => store.transaction((tx) => tx.devices.put(device())))
    damage()
    const result = await restore()
    expect(result.carried).toEqual({})
    expect(await folder.with((store) => store.certificates.get(given))).toEqual(given)
    return result
  }

  it.each([
    ['of garbage', () => writeFileSync(file(), 'garbage '.repeat(1_000))],
    ['that is empty', () => writeFileSync(file(), '')],
    ['with a broken schema', () => breakPages(file(), 0, 3)],
  ])('because it is a file %s is replaced all the same, kept, and told of', async (_name, damage) => {
    const { replaced, unread } = await restoredWithout(damage)
    expect(unread).toEqual([expect.stringMatching(/^all of it: .*(not a database|malformed|empty)/)])
    expect(existsSync(replaced ?? '')).toBe(true)
  })

  it('in part gives what it can of the rest, every revocation foremost', async () => {
    const many = Array.from({ length: 400 }, () => certificate({ state: 'revoked', der: new Uint8Array(900) }))
    await history(before, async (store) => {
      await store.transaction(async (tx) => {
        for (const { serial } of many) await tx.revocations.insert(revocation({ serial }))
      })
      await store.transaction(async (tx) => {
        for (const one of many) await tx.certificates.insert(one)
      })
    })
    const pages = statSync(file()).size / 4_096
    breakPages(file(), pages - 60, 20)
    const { carried, unread } = await restore()
    expect(unread.join('\n')).toMatch(/some certificates: .*malformed/)
    expect(carried.revocations).toBe(400)
    expect(carried.certificates).toBeGreaterThan(100)
    expect(carried.certificates).toBeLessThan(400)
    await folder.with(async (store) => {
      expect(await store.revocations.countUnpublished('issuing-g1', 0)).toBe(400)
      for (const end of [many.at(0), many.at(-1)]) expect(end && (await store.certificates.get(end))).toEqual(end)
      expect((await store.certificates.count()).revoked).toBe(carried.certificates)
      expect(await store.certificates.list({ state: 'revoked', limit: 1_000 })).toHaveLength(carried.certificates ?? 0)
    })
  })
})

describe('a database whose', () => {
  const known = certificate({ state: 'confirmed' })
  const unknown = certificate({ state: 'revoked' })
  const revokedSince = async (broken: string) => {
    await history(
      (store) => store.transaction((tx) => tx.certificates.insert(known)),
      (store) =>
        store.transaction(async (tx) => {
          await tx.certificates.change(known, ['confirmed'], { state: 'revoked' })
          await tx.certificates.insert(unknown)
          for (const { serial } of [known, unknown]) await tx.revocations.insert(revocation({ serial }))
          const { mark } = await tx.revocations.forCrl('issuing-g1', 0, null)
          await tx.revocations.markPublished('issuing-g1', 0, 7n, mark)
          await tx.crls.put(crl({ number: 7n }))
        }),
    )
    breakTable(file(), broken)
    const { carried, unread } = await restore()
    expect(unread).not.toEqual([])
    expect(carried.revocations).toBe(2)
    return folder.with(async (store) => ({
      state: (await store.certificates.get(known))?.state,
      unknown: await store.certificates.get(unknown),
      unpublished: await store.revocations.countUnpublished('issuing-g1', 0),
      number: (await store.crls.get('issuing-g1', 0))?.number,
    }))
  }

  it('certificates are lost still revokes those of the backup', async () => {
    const found = await revokedSince('certificate')
    expect(found).toEqual({ state: 'revoked', unknown: null, unpublished: 0, number: 7n })
  })

  it('record of what was published is lost has every revocation published once more', async () => {
    const found = await revokedSince('revocation_publication')
    expect(found).toEqual({ state: 'revoked', unknown, unpublished: 2, number: 7n })
  })

  it('CRL records are lost still has every revocation', async () => {
    const found = await revokedSince('crl')
    expect(found).toEqual({ state: 'revoked', unknown, unpublished: 0, number: undefined })
  })
})

describe('a restore is refused, and changes nothing,', () => {
  const untouched = async (outcome: Promise<unknown>) => {
    const content = readFileSync(file()).toString('base64')
    const code = await codeOf(outcome)
    expect(readFileSync(file()).toString('base64') === content).toBe(true)
    expect(existsSync(`${file()}.replaced-1`)).toBe(false)
    expect(existsSync(`${file()}.restoring`)).toBe(false)
    return code
  }
  const nothing = async () => undefined

  it('where the backup is damaged', async () => {
    await history(
      (store) =>
        store.transaction(async (tx) => {
          for (let index = 0; index < 500; index++) await tx.certificates.insert(certificate())
        }),
      nothing,
    )
    breakPages(copy(), 40, 20)
    expect(await untouched(restore())).toBe('damaged')
    await expect(restore()).rejects.toThrow(/the backup .*copy\.db is damaged; nothing was changed/)
    writeFileSync(copy(), 'garbage '.repeat(1_000))
    expect(await untouched(restore())).toBe('damaged')
    writeFileSync(copy(), '')
    expect(await untouched(restore())).toMatch(/damaged|configuration/)
  })

  it('where the backup is of another application, newer than this program, or not there', async () => {
    await history(nothing, nothing)
    const backup = new DatabaseSync(copy())
    backup.exec("INSERT INTO migration (number, name, digest) VALUES (9999, '9999-later', 'aa')")
    backup.close()
    expect(await untouched(restore())).toBe('configuration')
    const from = folder.path('songs.db')
    const songs = new DatabaseSync(from)
    songs.exec('CREATE TABLE song (title TEXT)')
    songs.close()
    expect(await untouched(restoreSqlite({ from, into: file() }))).toBe('configuration')
    expect(await untouched(restoreSqlite({ from: folder.path('none.db'), into: file() }))).toBe('not-found')
  })

  it('where the database is newer than this program: its revocations could not be taken over', async () => {
    await history(nothing, nothing)
    const current = new DatabaseSync(file())
    current.exec("INSERT INTO migration (number, name, digest) VALUES (9999, '9999-later', 'aa')")
    current.close()
    expect(await untouched(restore())).toBe('configuration')
  })

  it('where the backup is the database itself', async () => {
    await history(nothing, nothing)
    expect(await untouched(restoreSqlite({ from: file(), into: file() }))).toBe('bad-input')
  })

  it('while another process reads the database', async () => {
    await history(nothing, (store) => store.transaction((tx) => tx.devices.put(device({ createdAt: start }))))
    const reader = new DatabaseSync(file())
    reader.exec('BEGIN; SELECT count(*) FROM device')
    const writer = new DatabaseSync(file())
    writer.exec("INSERT INTO event_cursor VALUES ('log', 1)")
    expect(await codeOf(restore())).toBe('conflict')
    reader.close()
    writer.close()
    expect(await codeOf(restore())).toBe('resolved')
    await backupSqlite({ file: file(), to: folder.path('again.db') })
  })
})
