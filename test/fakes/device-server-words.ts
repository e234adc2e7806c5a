/** What the device server is told, and what it keeps. */
export type Operation = 'cacerts' | 'simpleenroll' | 'simplereenroll' | 'check-in' | 'trust-anchors'

/**
 * `drop` ends the connection before anything is done; `drop answer` does it all and says nothing; `cut` sends half an answer;
 * `wrong certificate` issues for another key; `slow` answers after a second; `never` does not answer at all.
 */
export type Fault =
  | 'drop'
  | 'drop answer'
  | 'cut'
  | 'garbage'
  | 'huge'
  | 'wrong certificate'
  | 'slow'
  | 'never'
  | { status: number; retryAfter?: string }

export interface IssuedCertificate {
  fingerprint: string
  device: string
  der: Uint8Array
  spkiSha256: string
  predecessor: string | null
  state: 'issued' | 'confirmed' | 'superseded' | 'revoked'
  notBefore: number
  notAfter: number
}

export interface DeviceServerOptions {
  /** Life of a certificate, milliseconds. */
  life?: number
  now?: () => number
  /** Speaks EST only, as other servers do. */
  plain?: boolean
  label?: string
  minimumTls?: 'TLSv1.2' | 'TLSv1.3'
}

export interface Hint {
  now: boolean
  at: number
  keys: 'rekey' | 'reuse'
}

export interface Call {
  operation: Operation
  certificate: IssuedCertificate | null
  authorization: string | null
  /** What a check-in said was wrong. */
  error: string | null
}

/** Ends a call with a status and a problem document. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
