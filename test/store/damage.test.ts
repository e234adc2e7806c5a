import { closeSync, existsSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { beforeEach, describe, expect, it } from 'vitest'
import { openSqlite } from '../../src/store/sqlite.ts'
import { codeOf } from '../contract/store/fresh.ts'
import { certificate } from '../support/records.ts'
import { testFolder } from './folder.ts'

const folder = testFolder()
const file = () => folder.path('everleaf.db')

/** Writes over a part of a file. */
function scribble(path: string, from: number, length: number): void {
  const handle = openSync(path, 'r+')
  writeSync(handle, new Uint8Array(length).fill(0x5a), 0, length, from)
  closeSync(handle)
}

const change = (text: string) => {
  const database = new DatabaseSync(file())
  database.exec(text)
  database.close()
}

const refusal = async (): Promise<[unknown, string]> => {
  const content = () => (existsSync(file()) ? readFileSync(file()).toString('base64') : null)
  const before = content()
  const error = await openSqlite({ file: file() }).then(
    () => new Error('it opened'),
    (reason: Error) => reason,
  )
  expect(content() === before).toBe(true)
  return [await codeOf(Promise.reject(error)), error.message]
}

const mending = /everleaf restore/

describe('a damaged database', () => {
  beforeEach(() =>
    folder.with(async (store) => {
      await store.transaction(async (tx) => {
        for (let index = 0; index < 500; index++) await tx.certificates.insert(certificate())
      })
    }),
  )

  it('is refused where its header is not that of a database, and the error says how to mend it', async () => {
    scribble(file(), 0, 100)
    const [code, message] = await refusal()
    expect(code).toBe('damaged')
    expect(message).toMatch(mending)
    expect(message).toContain(file())
  })

  it('is refused where its schema is broken', async () => {
    scribble(file(), 100, 3_996)
    expect(await refusal()).toEqual(['damaged', expect.stringMatching(mending)])
  })

  it('is refused where it was cut off', async () => {
    truncateSync(file(), 5 * 4_096)
    expect(await refusal()).toEqual(['damaged', expect.stringMatching(mending)])
  })

  it('is not taken for a new one where it is empty', async () => {
    truncateSync(file(), 0)
    expect(await refusal()).toEqual(['damaged', expect.stringMatching(/empty.*everleaf restore/)])
  })

  it('is not taken for a new one where only its log is left', async () => {
    rmSync(file())
    writeFileSync(`${file()}-wal`, 'frames')
    expect(await refusal()).toEqual(['damaged', expect.stringMatching(/missing.*everleaf\.db-wal/)])
  })

  it('that has broken pages among its data says so when they are read or written, and keeps serving the rest', async () => {
    const pages = readFileSync(file()).length / 4_096
    scribble(file(), 40 * 4_096, (pages - 45) * 4_096)
    const store = await folder.open()
    const list = store.certificates.list({ limit: 1_000 })
    expect(await codeOf(list)).toBe('damaged')
    await expect(list).rejects.toThrow(mending)
    const write = store.transaction(async (tx) => {
      for (let index = 0; index < 100; index++) await tx.certificates.insert(certificate())
    })
    expect(await codeOf(write)).toBe('damaged')
    expect(await codeOf(store.certificates.count())).toBe('resolved')
  })
})

describe('a database that is not for this program', () => {
  it('is refused where it is of another application, untouched', async () => {
    change('CREATE TABLE song (title TEXT)')
    expect(await refusal()).toEqual(['configuration', expect.stringMatching(/not Everleaf's/)])
  })

  it('is refused where it is no database at all', async () => {
    writeFileSync(file(), 'These are the minutes of the meeting.\n'.repeat(50))
    expect((await refusal())[0]).toBe('damaged')
  })

  it('is refused where it is newer', async () => {
    await folder.with(async () => undefined)
    change("INSERT INTO migration (number, name, digest) VALUES (9999, '9999-later', 'aa')")
    expect(await refusal()).toEqual(['configuration', expect.stringMatching(/newer .*9999-later.*0001-initial/)])
  })

  it('is refused where a migration that it went through is another one', async () => {
    await folder.with(async () => undefined)
    change("UPDATE migration SET digest = 'aa' WHERE number = 1")
    expect(await refusal()).toEqual([
      'configuration',
      expect.stringMatching(/another migration 0001-initial.* aa, here /),
    ])
  })
})

it('a database that is there holds when each migration was applied', async () => {
  const clock = { now: () => 1_800_000_000_000, sleep: () => Promise.resolve() }
  await (await openSqlite({ file: file(), clock })).close()
  await folder.with(async () => undefined)
  const database = new DatabaseSync(file(), { readOnly: true })
  const applied = database.prepare('SELECT number, name, applied_at FROM migration').all()
  database.close()
  expect(applied.map((row) => ({ ...row }))).toEqual([
    { number: 1, name: '0001-initial', applied_at: 1_800_000_000_000 },
  ])
})
