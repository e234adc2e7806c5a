import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { backupSqlite } from '../../src/store/backup.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { codeOf } from '../contract/store/fresh.ts'
import { certificate, device } from '../support/records.ts'
import { testFolder } from './folder.ts'
import { type SmallDisk, smallDisk } from './small-disk.ts'
import { startWriter } from './writer.ts'

const folder = testFolder()
let disk: SmallDisk | null = null
let store: Store | null = null
afterEach(async () => {
  await store?.close().catch(() => undefined)
  disk?.unmount()
  disk = null
  store = null
})

const fill = async (into: Store): Promise<{ stored: number; refusal: Promise<unknown> }> => {
  for (let stored = 0; ; stored += 20) {
    const batch = Array.from({ length: 20 }, () =>
      into.transaction((tx) => tx.certificates.insert(certificate({ der: new Uint8Array(3_000) }))),
    )
    const outcomes = await Promise.allSettled(batch)
    const refusal = batch[outcomes.findIndex(({ status }) => status === 'rejected')]
    const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length
    if (refusal) return { stored: stored + accepted, refusal }
  }
}

it('refuses a write in plain words when the disk is full, keeps what it had, and goes on when there is room', async (context) => {
  disk = smallDisk(3_000)
  if (!disk) return context.skip('this user may not mount a small disk')
  const file = join(disk.directory, 'everleaf.db')
  store = await openSqlite({ file })
  const { stored, refusal } = await fill(store)
  expect(await codeOf(refusal)).toBe('unavailable')
  await expect(refusal).rejects.toThrow(/the disk is full/)
  const total = async () => Object.values((await store?.certificates.count()) ?? {}).reduce((sum, one) => sum + one, 0)
  expect(stored).toBeGreaterThan(0)
  expect(await total()).toBe(stored)
  expect(await store.certificates.list({ limit: 10_000 })).toHaveLength(stored)

  disk.grow(20_000)
  await store.transaction((tx) => tx.certificates.insert(certificate()))
  expect(await total()).toBe(stored + 1)
})

it('leaves no half backup on a full disk', async (context) => {
  disk = smallDisk(300)
  if (!disk) return context.skip('this user may not mount a small disk')
  await folder.with(async (source) => {
    await source.transaction(async (tx) => {
      for (let index = 0; index < 300; index++)
        await tx.certificates.insert(certificate({ der: new Uint8Array(3_000) }))
    })
  })
  const backup = backupSqlite({ file: folder.path('everleaf.db'), to: join(disk.directory, 'copy.db') })
  await expect(backup).rejects.toThrow(/the disk is full/)
  expect(await codeOf(backup)).toBe('unavailable')
  expect(readdirSync(disk.directory)).toEqual([])
})

it('refuses to start where it may not write, in plain words', async (context) => {
  disk = smallDisk(3_000)
  if (!disk) return context.skip('this user may not mount a small disk')
  const file = join(disk.directory, 'everleaf.db')
  await (await openSqlite({ file })).close()
  disk.makeReadOnly()
  const existing = openSqlite({ file })
  expect(await codeOf(existing)).toBe('unavailable')
  await expect(existing).rejects.toThrow(/read-only|writable/)
  await expect(openSqlite({ file: join(disk.directory, 'other.db') })).rejects.toThrow(/read-only|writable/)
})

it('refuses to start in a directory without permission', async (context) => {
  if (process.getuid?.() === 0) return context.skip('root may write everywhere')
  const directory = folder.path('locked')
  mkdirSync(directory)
  chmodSync(directory, 0o500)
  expect(await codeOf(openSqlite({ file: join(directory, 'everleaf.db') }))).toBe('unavailable')
})

it('refuses to start in a directory that is not there, and names it', async () => {
  const file = folder.path('nowhere/everleaf.db')
  expect(await codeOf(openSqlite({ file }))).toBe('unavailable')
  await expect(openSqlite({ file })).rejects.toThrow(/nowhere\/everleaf\.db.*directory must exist/)
})

it('tells a writer of a file that may not grow, and has all that was acknowledged before', async () => {
  const file = folder.path('everleaf.db')
  await folder.with((one) => one.transaction((tx) => tx.devices.put(device({ id: '0' }))))
  const writer = startWriter(file, { limit: 2_000 })
  await writer.ended
  const refusal = writer.lines.at(-1) ?? ''
  expect(refusal).toMatch(/^refused unavailable .*(does not read or write|disk is full)/)
  const acknowledged = writer.lines.filter((line) => !line.startsWith('refused'))
  expect(acknowledged.length).toBeGreaterThan(0)
  const devices = await folder.with((one) => one.devices.list({ limit: 100_000 }))
  const there = new Set(devices.map(({ id }) => id))
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([])
})
