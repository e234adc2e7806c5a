import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { crl, event, revocation } from '../support/records.ts'
import { testFolder } from './folder.ts'

const folder = testFolder()
const program = join(import.meta.dirname, 'restore-endlessly.ts')

/** Starts restoring and kills it when something in the database's directory has happened for the `count`th time. */
async function restoreUntil(count: number, from: string, into: string): Promise<void> {
  const child = spawn(process.execPath, ['--no-warnings', program, from, into], { stdio: 'inherit' })
  let happened = 0
  const watcher = watch(dirname(into), () => {
    happened += 1
    if (happened >= count) child.kill('SIGKILL')
  })
  const [, signal] = await once(child, 'exit')
  watcher.close()
  expect(signal).toBe('SIGKILL')
}

it('a restore that is killed at any moment leaves the old database or the new one, and every revocation in it', async () => {
  const [file, copy] = [folder.path('db/everleaf.db'), folder.path('copy.db')]
  mkdirSync(dirname(file))
  const revoked = Array.from({ length: 50 }, () => revocation())
  await folder.with(async (store) => {
    await store.transaction((tx) => tx.events.append(event()))
    await store.backup(copy)
    await store.transaction(async (tx) => {
      for (const one of revoked) await tx.revocations.insert(one)
      await tx.crls.put(crl({ number: 77n }))
    })
  }, 'db/everleaf.db')
  for (let round = 0; round < 12; round++) {
    await restoreUntil(1 + Math.floor(Math.random() * 60), copy, file)
    expect(existsSync(file)).toBe(true)
    await folder.with(async (store) => {
      for (const one of revoked) expect(await store.revocations.get(one)).toEqual(one)
      expect((await store.crls.get('issuing-g1', 0))?.number).toBe(77n)
      expect(await store.events.tail(9)).toHaveLength(1)
    }, 'db/everleaf.db')
  }
})
