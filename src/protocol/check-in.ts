import { ProtocolError } from './error.ts'

/** What a device tells at a check-in. */
export interface CheckInRequest {
  /** Version of the agent, e.g. `everleaf-agent/0.1.0`. */
  agent: string
  /** The device's time, RFC 3339. */
  time: string
  /** ETag of the trust anchors that it has. */
  trustAnchors: string | null
  /** ETag of the CRL that it has. */
  crl: string | null
  /** What went wrong last. */
  error: string | null
}

/** What it is told. */
export interface CheckInResponse {
  /** The server's time, RFC 3339. */
  time: string
  /** `now`: renew at once. `at`: when it will be due, RFC 3339. `keys`: whether a new key is wanted. */
  renew: { now: boolean; at: string; keys: 'rekey' | 'reuse' }
  /** ETags of what is current; null: there is none. */
  trustAnchors: string | null
  crl: string | null
}

const maximumText = 256
const maximumError = 1024

const fail = (path: string, problem: string): never => {
  throw new ProtocolError(`check-in: ${path} ${problem}`)
}

/** Fields that are not known are passed over, so that a server and an agent of different versions understand each other. */
const readObject = (value: unknown, path: string): ReadonlyMap<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? new Map(Object.entries(value))
    : fail(path, 'is not an object')

const readText = (value: unknown, path: string, maximum = maximumText): string => {
  if (typeof value !== 'string')
    return fail(path, `is ${value === undefined ? 'missing' : typeof value}, expected a string`)
  if (value.length === 0 || value.length > maximum)
    fail(path, `has ${value.length} characters; 1 to ${maximum} allowed`)
  if (!value.isWellFormed() || /\p{Cc}/u.test(value)) fail(path, 'holds control characters')
  return value
}

const readTextOrNull = (value: unknown, path: string, maximum = maximumText): string | null =>
  value === null ? null : readText(value, path, maximum)

const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

const readTimestamp = (value: unknown, path: string): string => {
  const text = readText(value, path)
  return timestamp.test(text) && !Number.isNaN(Date.parse(text))
    ? text
    : fail(path, 'is no time such as 2026-01-31T12:00:00Z')
}

/** A stack trace has line ends; they become blanks so that it stays one line of a log. */
const readErrorText = (value: unknown): string | null =>
  readTextOrNull(typeof value === 'string' ? value.replace(/\s+/g, ' ').trim() || null : value, 'error', maximumError)

export const parseCheckInRequest = (json: unknown): CheckInRequest => {
  const fields = readObject(json, 'request')
  return {
    agent: readText(fields.get('agent'), 'agent'),
    time: readTimestamp(fields.get('time'), 'time'),
    trustAnchors: readTextOrNull(fields.get('trustAnchors'), 'trustAnchors'),
    crl: readTextOrNull(fields.get('crl'), 'crl'),
    error: readErrorText(fields.get('error')),
  }
}

export const parseCheckInResponse = (json: unknown): CheckInResponse => {
  const fields = readObject(json, 'response')
  const renew = readObject(fields.get('renew'), 'renew')
  const now = renew.get('now')
  const keys = renew.get('keys')
  return {
    time: readTimestamp(fields.get('time'), 'time'),
    renew: {
      now: typeof now === 'boolean' ? now : fail('renew.now', 'is not a boolean'),
      at: readTimestamp(renew.get('at'), 'renew.at'),
      keys: keys === 'rekey' || keys === 'reuse' ? keys : fail('renew.keys', "is neither 'rekey' nor 'reuse'"),
    },
    trustAnchors: readTextOrNull(fields.get('trustAnchors'), 'trustAnchors'),
    crl: readTextOrNull(fields.get('crl'), 'crl'),
  }
}
