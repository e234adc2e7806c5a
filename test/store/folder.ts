import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Backup, Store } from '../../src/store/store.ts'

export interface Folder {
  /** An absolute path in a directory that is new for each test. */
  path(name: string): string
  /** The database of the test, or another; closed after the test where the test did not. */
  open(name?: string): Promise<Store & Backup>
  /** Opens it, writes, and closes it. */
  with<T>(work: (store: Store & Backup) => Promise<T>, name?: string): Promise<T>
}

/** A directory for each test of the `describe` that calls this. */
export function testFolder(): Folder {
  let directory: string | null = null
  const opened: Store[] = []
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    if (directory) rmSync(directory, { recursive: true, force: true })
    directory = null
  })
  const path = (name: string) => {
    directory ??= mkdtempSync(join(tmpdir(), 'everleaf-store-'))
    return join(directory, name)
  }
  return {
    path,
    async open(name = 'everleaf.db') {
      const store = await openSqlite({ file: path(name) })
      opened.push(store)
      return store
    },
    async with(work, name = 'everleaf.db') {
      const store = await openSqlite({ file: path(name) })
      try {
        return await work(store)
      } finally {
        await store.close()
      }
    },
  }
}
