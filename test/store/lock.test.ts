import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { backupSqlite } from '../../src/store/backup.ts'
import { restoreSqlite } from '../../src/store/restore.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { codeOf } from '../contract/store/fresh.ts'
import { device } from '../support/records.ts'
import { testFolder } from './folder.ts'
import { startWriter } from './writer.ts'

const folder = testFolder()

it('is held by one process: another is told so and changes nothing, until the first has ended however it ends', async () => {
  const file = folder.path('everleaf.db')
  const writer = startWriter(file)
  try {
    await writer.acknowledges(5)
    await expect(openSqlite({ file })).rejects.toThrow(/another Everleaf process .*everleaf\.db/)
    expect(await codeOf(openSqlite({ file }))).toBe('unavailable')
    const copy = folder.path('copy.db')
    await backupSqlite({ file, to: copy })
    await expect(restoreSqlite({ from: copy, into: file })).rejects.toThrow(/another Everleaf process/)
    const before = writer.lines.length
    await writer.acknowledges(5)
    expect(writer.lines.length).toBeGreaterThanOrEqual(before + 5)
  } finally {
    await writer.kill()
  }
  await folder.with((store) => store.transaction((tx) => tx.devices.put(device())))
})

it('is held once within one process too', async () => {
  const store = await folder.open()
  expect(await codeOf(folder.open())).toBe('unavailable')
  await store.transaction((tx) => tx.devices.put(device({ id: 'still here' })))
  expect((await store.devices.get('still here'))?.id).toBe('still here')
})

it('leaves no log behind when it is closed', async () => {
  await folder.with((store) => store.transaction((tx) => tx.devices.put(device())))
  expect(existsSync(folder.path('everleaf.db'))).toBe(true)
  expect(existsSync(folder.path('everleaf.db-wal'))).toBe(false)
})
