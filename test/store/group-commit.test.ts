import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Sql } from '../../src/store/sql.ts'
import { Connection } from '../../src/store/sqlite/connection.ts'
import { type GroupCommit, groupCommit } from '../../src/store/sqlite/group-commit.ts'
import { codeOf } from '../contract/store/fresh.ts'

describe('transactions that wait at the same time', () => {
  let connection: Connection
  let commits: GroupCommit<Sql>
  beforeEach(() => {
    connection = new Connection(':memory:')
    connection.exec(
      `CREATE TABLE item (name TEXT PRIMARY KEY, parent TEXT REFERENCES item DEFERRABLE INITIALLY DEFERRED)`,
    )
    commits = groupCommit(connection, (sql) => sql)
  })
  afterEach(async () => {
    await commits.close()
    connection.close()
  })

  const add = (name: string, parent: string | null = null) =>
    commits.transaction((sql) => sql.run('INSERT INTO item VALUES ($1, $2)', [name, parent]))
  const names = () => connection.all<{ name: string }>('SELECT name FROM item ORDER BY name').map(({ name }) => name)

  const commitsDuring = async (work: () => Promise<unknown>): Promise<number> => {
    const log: string[] = []
    const run = connection.run.bind(connection)
    connection.run = (text, parameters) => {
      log.push(text)
      return run(text, parameters)
    }
    await work()
    return log.filter((text) => text === 'COMMIT').length
  }

  it('share one commit', async () => {
    const items = Array.from({ length: 100 }, (_, index) => `item-${index}`)
    expect(await commitsDuring(() => Promise.all(items.map((name) => add(name))))).toBe(1)
    expect(names()).toHaveLength(100)
  })

  it('share it in bounded groups', async () => {
    const items = Array.from({ length: 1_200 }, (_, index) => `item-${index}`)
    expect(await commitsDuring(() => Promise.all(items.map((name) => add(name))))).toBe(3)
    expect(names()).toHaveLength(1_200)
  })

  it('all fail when the commit does, and nothing of them is left', async () => {
    const codes = Promise.all([codeOf(add('a')), codeOf(add('b', 'no such parent')), codeOf(add('c'))])
    expect(await codes).toEqual(['internal', 'internal', 'internal'])
    expect(names()).toEqual([])
    await add('d')
    expect(names()).toEqual(['d'])
  })

  it('are answered after the commit only, the ones that failed too', async () => {
    const seen: Array<[string, boolean]> = []
    const note = (what: string) => () => {
      seen.push([what, connection.inTransaction])
    }
    const good = add('a').then(note('good'))
    const failing = commits.transaction(() => Promise.reject(new Error('no'))).catch(note('bad'))
    const last = add('b').then(note('last'))
    await Promise.all([good, failing, last])
    expect(seen).toEqual([
      ['good', false],
      ['bad', false],
      ['last', false],
    ])
  })

  it('fail alone where a statement of theirs does', async () => {
    await add('a')
    const codes = await Promise.all([codeOf(add('b')), codeOf(add('a')), codeOf(add('c'))])
    expect(codes).toEqual(['resolved', 'conflict', 'resolved'])
    expect(names()).toEqual(['a', 'b', 'c'])
  })

  it('fail with the one that made SQLite give up all of them, and the next ones go on', async () => {
    const giveUp = commits.transaction(async (sql) => {
      await sql.run('INSERT INTO item VALUES ($1, NULL)', ['lost'])
      // What SQLite does by itself on some errors of the disk.
      connection.exec('ROLLBACK')
    })
    const codes = await Promise.all([codeOf(add('a')), codeOf(giveUp), codeOf(add('b'))])
    expect(codes).not.toContain('resolved')
    expect(names()).toEqual([])
    await add('c')
    expect(names()).toEqual(['c'])
  })

  it('keep the asynchronous context of their own caller', async () => {
    const request = new AsyncLocalStorage<string>()
    const seen = await Promise.all(
      ['one', 'two'].map((name) => request.run(name, () => commits.transaction(async () => request.getStore()))),
    )
    expect(seen).toEqual(['one', 'two'])
  })
})
