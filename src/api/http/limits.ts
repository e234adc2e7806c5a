import type { Duration } from '../../model.ts'

/** Bounds of one listener. Each one too small locks out honest clients on bad lines; too large lets a few hold everything. */
export interface HttpLimits {
  /** From the opened connection, or the first byte of a later request, to the end of its head. */
  headersTimeout: Duration
  /** The same to the end of the whole request: a byte now and then does not extend it. */
  requestTimeout: Duration
  /** From the opened connection to the end of the TLS handshake. */
  handshakeTimeout: Duration
  /** How long a connection waits for a next request. */
  keepAliveTimeout: Duration
  /** How long neither side takes or sends a byte before the connection ends. */
  idleTimeout: Duration
  /** How often the deadlines above are looked at. */
  checkInterval: Duration
  /** Size of a request's head. */
  headBytes: number
  connections: number
  /** Requests of one connection that are answered at a time: each holds memory, and hardly a client sends one ahead of an answer. */
  pipelined: number
  /** Many devices may share one address behind a NAT: generous. */
  connectionsPerAddress: number
}

export const httpLimits: HttpLimits = {
  headersTimeout: 15_000,
  requestTimeout: 30_000,
  handshakeTimeout: 15_000,
  keepAliveTimeout: 10_000,
  idleTimeout: 60_000,
  checkInterval: 1_000,
  headBytes: 8_192,
  connections: 10_000,
  pipelined: 16,
  connectionsPerAddress: 2_000,
}
