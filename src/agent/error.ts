/**
 * Every way in which the agent's work fails, as far as something decides by it.
 *
 * `usage`       the command line or the settings are wrong
 * `network`     no answer, or a torn one: the server's state is unknown
 * `answer`      an answer that cannot be read
 * `untrusted`   the server, or what it sent, is not what was pinned
 * `refused`     the server knows us and says no, or does not know us (401, 403, TLS alert about our certificate)
 * `rejected`    the request itself is wrong in the server's eyes (other 4xx)
 * `unsupported` the server has no such operation (404)
 * `busy`        the server asks to come back later (202, 429, 5xx)
 * `local`       this machine: disk, permissions, a damaged file, another agent
 * `hook`        the hook failed
 */
export type AgentErrorCode =
  | 'usage'
  | 'network'
  | 'answer'
  | 'untrusted'
  | 'refused'
  | 'rejected'
  | 'unsupported'
  | 'busy'
  | 'local'
  | 'hook'

/** A failure with its kind. The message never holds a key or a token. */
export class AgentError extends Error {
  readonly code: AgentErrorCode
  /** Milliseconds to wait before the next try, as the server asked; null: not said. */
  readonly retryAfter: number | null

  constructor(code: AgentErrorCode, message: string, options: { cause?: unknown; retryAfter?: number | null } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AgentError'
    this.code = code
    this.retryAfter = options.retryAfter ?? null
  }
}

/** The code of anything thrown; what nobody foresaw counts as `local`. */
export const codeOf = (error: unknown): AgentErrorCode => (error instanceof AgentError ? error.code : 'local')

/** The message of anything thrown. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Text from outside made safe for a log line: printable ASCII, at most `length` characters. */
export const printable = (text: string, length = 200): string => {
  const clean = text.replace(/[^\x20-\x7e]+/g, ' ').trim()
  return clean.length > length ? `${clean.slice(0, length)}…` : clean
}
