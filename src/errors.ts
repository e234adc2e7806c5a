/**
 * Every refusal and failure that a caller can tell apart. `message` says what was wrong, where, and what would be right;
 * it never holds a key, a token or a passphrase.
 */
export type ErrorCode =
  | 'bad-input' // the request itself is malformed
  | 'unauthenticated' // nobody, or nobody we know
  | 'forbidden' // known, and not allowed
  | 'not-found'
  | 'conflict' // true once, no longer
  | 'too-many' // later: `retryAfter` says when
  | 'refused' // our own gate held something back
  | 'unavailable' // a neighbour does not answer; try again
  | 'configuration'
  | 'damaged' // stored bytes are not what was stored
  | 'internal'

export class EverleafError extends Error {
  readonly code: ErrorCode
  /** Milliseconds to wait before the next try, where one makes sense. */
  readonly retryAfter: number | null

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'EverleafError'
    this.code = code
    this.retryAfter = options.retryAfter ?? null
  }
}

export const isEverleafError = (error: unknown, code?: ErrorCode): error is EverleafError =>
  error instanceof EverleafError && (code === undefined || error.code === code)

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
