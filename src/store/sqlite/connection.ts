import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Sql, SqlValue } from '../sql.ts'
import { isUnreadable, translateError } from './errors.ts'

/** How long SQLite itself waits for a lock. Short: it holds the thread meanwhile, and only a backup ever competes. */
const busyTimeout = 2_000

export interface ConnectionOptions {
  readOnly?: boolean
  /** The file to name in errors where it is another than the one opened. */
  calls?: string
}

/** One SQLite connection with its prepared statements. Throws `EverleafError`s only. */
export class Connection {
  readonly database: DatabaseSync
  readonly #file: string
  readonly #statements = new Map<string, StatementSync>()

  constructor(file: string, { readOnly = false, calls = file }: ConnectionOptions = {}) {
    this.#file = calls
    this.database = this.#translated(
      () => new DatabaseSync(file, { readOnly, timeout: busyTimeout, enableForeignKeyConstraints: true }),
    )
  }

  /** Runs statements without parameters. */
  exec(text: string): void {
    this.#translated(() => this.database.exec(text))
  }

  all<Row>(text: string, parameters: readonly SqlValue[] = []): Row[] {
    return this.#translated(() => this.#prepared(text).all(...parameters)) as Row[]
  }

  get<Row>(text: string, parameters: readonly SqlValue[] = []): Row | null {
    return (this.#translated(() => this.#prepared(text).get(...parameters)) ?? null) as Row | null
  }

  run(text: string, parameters: readonly SqlValue[] = []): number {
    return Number(this.#translated(() => this.#prepared(text).run(...parameters)).changes)
  }

  /** The values of each row of a damaged table, up to where it cannot be read further. */
  *readable(text: string): Generator<SqlValue[]> {
    const statement = this.#translated(() => this.database.prepare(text))
    statement.setReadBigInts(true)
    const found = statement.iterate()
    for (;;) {
      try {
        const { done, value } = found.next()
        if (done) return
        yield Object.values(value)
      } catch (cause) {
        const error = translateError(cause, this.#file)
        if (isUnreadable(error)) return
        throw error
      }
    }
  }

  /** False outside a transaction, and where SQLite undid one by itself, as it does on a full disk. */
  get inTransaction(): boolean {
    return this.database.isTransaction
  }

  close(): void {
    this.#statements.clear()
    this.#translated(() => this.database.close())
  }

  #prepared(text: string): StatementSync {
    const known = this.#statements.get(text)
    if (known) return known
    const statement = this.database.prepare(text.replaceAll(/\$(\d+)/g, '?$1'))
    this.#statements.set(text, statement)
    return statement
  }

  #translated<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      throw translateError(error, this.#file)
    }
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Reads of what is committed, each in a snapshot of its own. */
export const readSql = (connection: Connection): Sql => ({
  all: async (text, parameters) => connection.all(text, parameters),
  get: async (text, parameters) => connection.get(text, parameters),
  run: async (text, parameters) => connection.run(text, parameters),
  pause: nextTurn,
})
