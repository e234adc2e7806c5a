import { EverleafError } from '../errors.ts'

export type SqlValue = string | number | bigint | Uint8Array | null

/**
 * One connection as the aggregates see it. Their texts serve every dialect: numbered parameters `$1…`, `ON CONFLICT`,
 * `RETURNING`, row values, and no function that only one of them has. Whole numbers arrive as `number`, so what may
 * pass 2^53 is cast to text by the query. Errors are `EverleafError`s already.
 */
export interface Sql {
  all<Row>(text: string, parameters?: readonly SqlValue[]): Promise<Row[]>
  /** The first row, or null. */
  get<Row>(text: string, parameters?: readonly SqlValue[]): Promise<Row | null>
  /** How many rows were changed. */
  run(text: string, parameters?: readonly SqlValue[]): Promise<number>
  /** Between the chunks of a long read: lets others have a turn where queries would hold the thread. */
  pause(): Promise<void>
}

/** `$3, $4, $5` for three values after two others. */
export const placeholders = (count: number, after = 0): string =>
  Array.from({ length: count }, (_, index) => `$${after + index + 1}`).join(', ')

/** What a prune removes at most at once, so that it never holds the others up for long. */
export const pruneLimit = 5_000

/** Parses what the store wrote; `damaged` where it is not JSON any more. `what` names the record for the message. */
export function readJson<T>(text: string, what: string): T {
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw new EverleafError('damaged', `${what} is stored as ${text.length} characters that are not JSON`, { cause })
  }
}
