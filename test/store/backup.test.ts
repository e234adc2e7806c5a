import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { backupSqlite } from '../../src/store/backup.ts'
import type { Store } from '../../src/store/store.ts'
import { codeOf } from '../contract/store/fresh.ts'
import { certificate, device, event } from '../support/records.ts'
import { testFolder } from './folder.ts'
import { startWriter } from './writer.ts'

const folder = testFolder()
const file = () => folder.path('everleaf.db')

const numbers = async (store: Store) => {
  const devices = (await store.devices.list({ limit: 1_000_000 })).map(({ id }) => Number(id))
  const events = (await store.events.after(0, 1_000_000)).map(({ subject }) => Number(subject))
  return { devices: devices.sort((a, b) => a - b), events: events.sort((a, b) => a - b) }
}

it('is one consistent private file while another process writes, with all that was durable when it began', async () => {
  const writer = startWriter(file())
  try {
    await writer.acknowledges(200)
    for (const name of ['first.db', 'second.db']) {
      const before = writer.lines.map(Number)
      await backupSqlite({ file: file(), to: folder.path(name) })
      const { devices, events } = await folder.with(numbers, name)
      expect(devices).toEqual(events)
      const there = new Set(devices)
      expect(before.filter((number) => !there.has(number))).toEqual([])
    }
  } finally {
    await writer.kill()
  }
  expect(statSync(folder.path('first.db')).mode & 0o777).toBe(0o600)
})

it('is made by the open store too, while it writes', async () => {
  const store = await folder.open()
  let last = 0
  const write = async () => {
    last += 1
    const number = String(last)
    await store.transaction(async (tx) => {
      await tx.devices.put(device({ id: number, labels: { padding: 'x'.repeat(2_000) } }))
      await tx.events.append(event({ subject: number }))
    })
  }
  while (last < 3_000) await Promise.all(Array.from({ length: 100 }, write))
  let copying = true
  const steps: Array<[number, number]> = []
  const copied = store
    .backup(folder.path('copy.db'), (done, total) => steps.push([done, total]))
    .finally(() => {
      copying = false
    })
  while (copying) await write()
  await copied
  const { devices, events } = await folder.with(numbers, 'copy.db')
  expect(devices).toEqual(events)
  expect(devices.length).toBeGreaterThanOrEqual(3_000)
  expect(last).toBeGreaterThan(devices.length)
  expect(steps.at(-1)?.[0]).toBe(steps.at(-1)?.[1])
  expect(steps.map(([done]) => done)).toEqual(steps.map(([done]) => done).sort((a, b) => a - b))
})

it('needs nothing beside it', async () => {
  const given = certificate()
  const store = await folder.open()
  await store.transaction((tx) => tx.certificates.insert(given))
  await store.backup(folder.path('copy.db'))
  expect(readdirSync(folder.path('.')).filter((name) => name.startsWith('copy.db'))).toEqual(['copy.db'])
  // The file format's write and read version: 1 needs no log, and so can be read where nothing can be written.
  expect([...readFileSync(folder.path('copy.db')).subarray(18, 20)]).toEqual([1, 1])
  copyFileSync(folder.path('copy.db'), folder.path('elsewhere.db'))
  const found = await folder.with((copy) => copy.certificates.get(given), 'elsewhere.db')
  expect(found).toEqual(given)
})

it('writes over nothing', async () => {
  const store = await folder.open()
  writeFileSync(folder.path('copy.db'), 'an older backup')
  expect(await codeOf(store.backup(folder.path('copy.db')))).toBe('conflict')
  expect(await codeOf(backupSqlite({ file: file(), to: file() }))).toBe('conflict')
  expect(readFileSync(folder.path('copy.db'), 'utf8')).toBe('an older backup')
  await store.transaction((tx) => tx.devices.put(device()))
})

it('of a database that is not there, or into a directory that is not there, says so', async () => {
  expect(await codeOf(backupSqlite({ file: folder.path('none.db'), to: folder.path('copy.db') }))).toBe('not-found')
  expect(existsSync(folder.path('none.db'))).toBe(false)
  await folder.with(async () => undefined)
  expect(await codeOf(backupSqlite({ file: file(), to: folder.path('no/copy.db') }))).toBe('unavailable')
})

it('of a damaged database is refused and leaves no file', async () => {
  await folder.with((store) =>
    store.transaction(async (tx) => {
      for (let index = 0; index < 500; index++) await tx.certificates.insert(certificate())
    }),
  )
  const bytes = readFileSync(file())
  bytes.fill(0x5a, 40 * 4_096, 60 * 4_096)
  writeFileSync(file(), bytes)
  expect(await codeOf(backupSqlite({ file: file(), to: folder.path('copy.db') }))).toBe('damaged')
  expect(readdirSync(folder.path('.')).filter((name) => name.startsWith('copy.db'))).toEqual([])
})
