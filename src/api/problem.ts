import { type ErrorCode, EverleafError, isEverleafError } from '../errors.ts'
import type { Random } from '../random/random.ts'

/** A problem document as RFC 9457 §3 has it. `code` tells apart what shares a status. */
export interface ProblemDocument {
  type: 'about:blank'
  title: string
  status: number
  detail: string
  code: string
}

export interface Problem {
  status: number
  /** Header names with their case. */
  headers: Record<string, string>
  document: ProblemDocument
}

/** A refusal whose HTTP status is not told by its code, e.g. 405 or 415. */
export class StatusError extends EverleafError {
  readonly status: number
  readonly headers: Record<string, string>

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super('bad-input', message)
    this.status = status
    this.headers = headers
  }
}

const statuses: Record<ErrorCode, number> = {
  'bad-input': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  refused: 409,
  'too-many': 429,
  unavailable: 503,
  configuration: 500,
  damaged: 500,
  internal: 500,
}

const titles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

const internal = 'the server failed at this request; its log says why'

/** Retries are spread over half to one and a half times this, where the error names no time itself (P7). */
const retryAfterDefault = 20_000

/** What the caller is told of anything thrown. A fault of ours (5xx but 503) tells nothing of the inside. */
export const problemOf = (error: unknown, random: Random): Problem => {
  const known = isEverleafError(error) ? error : new EverleafError('internal', internal)
  const status = known instanceof StatusError ? known.status : statuses[known.code]
  const headers = known instanceof StatusError ? { ...known.headers } : {}
  if (status === 429 || status === 503) headers['Retry-After'] = retryAfter(known.retryAfter, random)
  const detail = status === 500 ? internal : known.message
  const title = titleOf(status)
  const code = known instanceof StatusError ? codeOf(status) : known.code
  return { status, headers, document: { type: 'about:blank', title, status, detail, code } }
}

export const titleOf = (status: number): string => titles[status] ?? 'Error'

const codeOf = (status: number): string =>
  Object.entries(statuses).find(([, each]) => each === status)?.[0] ??
  titleOf(status).toLowerCase().replaceAll(' ', '-')

/** Whole seconds, never 0. */
const retryAfter = (milliseconds: number | null, random: Random): string =>
  String(Math.max(1, Math.ceil((milliseconds ?? retryAfterDefault * (0.5 + random.fraction())) / 1000)))
