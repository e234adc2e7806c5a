import { AsyncLocalStorage } from 'node:async_hooks'
import { EverleafError } from '../../errors.ts'
import type { Sql } from '../sql.ts'
import type { Connection } from './connection.ts'

/** Transactions that share one commit at most, so that the first of them does not wait for long. */
const largestGroup = 500

/** Turns of the event loop that a group waits for more members at most. */
const longestGather = 8

interface Member<Tx> {
  work: (tx: Tx) => Promise<unknown>
  /** Enters the asynchronous context of the caller, whose log lines are to bear its own request. */
  enter: <T>(call: () => T) => T
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

export interface GroupCommit<Tx> {
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Takes no more, and resolves when all that was taken is done. */
  close(): Promise<void>
}

/** The SQL of one transaction. It ends with it, and with its first error: to go on after half a write is worse. */
function transactionSql(connection: Connection): { sql: Sql; end: () => void; failure: () => unknown } {
  let open = true
  let failure: unknown
  const guarded = async <T>(call: () => T): Promise<T> => {
    if (!open) throw new EverleafError('internal', 'a transaction was used after its end')
    if (failure !== undefined) throw failure
    try {
      return call()
    } catch (error) {
      failure = error
      throw error
    }
  }
  const sql: Sql = {
    all: (text, parameters) => guarded(() => connection.all(text, parameters)),
    get: (text, parameters) => guarded(() => connection.get(text, parameters)),
    run: (text, parameters) => guarded(() => connection.run(text, parameters)),
    pause: () => Promise.resolve(),
  }
  return {
    sql,
    end: () => {
      open = false
    },
    failure: () => failure,
  }
}

/**
 * Runs transactions one after another on `connection`. Those that wait at the same time share one `COMMIT`, that is one
 * wait for the disk, each within a savepoint of its own. All of them resolve after it, or none.
 */
export function groupCommit<Tx>(connection: Connection, writes: (sql: Sql) => Tx): GroupCommit<Tx> {
  const inside = new AsyncLocalStorage<true>()
  const waiting: Member<Tx>[] = []
  let pump: Promise<void> | null = null
  let closed = false

  /** Runs it and tells how to answer its caller once the group's commit is durable. A failure undoes its own writes. */
  async function runMember(member: Member<Tx>): Promise<() => void> {
    const { sql, end, failure } = transactionSql(connection)
    try {
      connection.run('SAVEPOINT member')
      const value = await member.enter(() => inside.run(true, () => member.work(writes(sql))))
      if (failure() !== undefined) throw failure()
      connection.run('RELEASE member')
      return () => member.resolve(value)
    } catch (error) {
      if (connection.inTransaction) {
        connection.run('ROLLBACK TO member')
        connection.run('RELEASE member')
      }
      // A loser answered before the winner's rows can be read would gather the same facts and lose again.
      return () => member.reject(error)
    } finally {
      end()
    }
  }

  async function commitGroup(group: Member<Tx>[]): Promise<void> {
    const started: Member<Tx>[] = []
    const answers: Array<() => void> = []
    try {
      connection.run('BEGIN IMMEDIATE')
      for (let member = group.shift(); member; member = group.shift()) {
        started.push(member)
        answers.push(await runMember(member))
        if (!connection.inTransaction)
          throw new EverleafError('unavailable', 'the database gave up the commit that this transaction was to share')
      }
      connection.run('COMMIT')
    } catch (error) {
      for (const { reject } of [...started, ...group]) reject(error)
      if (connection.inTransaction) connection.run('ROLLBACK')
      return
    }
    for (const answer of answers) answer()
  }

  /** Turns of the event loop for as long as each brings another member: all that arrives in them shares the commit. */
  async function gather(): Promise<void> {
    let before = 0
    for (let turn = 0; turn < longestGather && waiting.length > before; turn += 1) {
      before = waiting.length
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      await gather()
      // What it can still throw is a failed ROLLBACK: its members know already, and the next BEGIN tells the others.
      await commitGroup(waiting.splice(0, largestGroup)).catch(() => undefined)
    }
    pump = null
  }

  return {
    transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
      if (closed) return Promise.reject(new EverleafError('unavailable', 'the store is closed'))
      if (inside.getStore())
        return Promise.reject(new EverleafError('internal', 'a transaction was begun within a transaction'))
      return new Promise<T>((resolve, reject) => {
        waiting.push({
          work,
          enter: AsyncLocalStorage.snapshot(),
          resolve: resolve as (value: unknown) => void,
          reject,
        })
        pump ??= run()
      })
    },

    async close() {
      closed = true
      await pump
    },
  }
}
