/** The calls to the server: EST (RFC 7030, RFC 8951) and, beside it, check-in and trust anchors. */
import { encodeBase64, encodeBase64Lines } from '../protocol/base64.ts'
import { type CheckInRequest, type CheckInResponse, parseCheckInResponse } from '../protocol/check-in.ts'
import { estMediaTypes, estPath, estTransferEncoding, everleafRoot } from '../protocol/est.ts'
import { decodePem } from '../protocol/pem.ts'
import { decodeCertsOnly } from '../protocol/pkcs7.ts'
import { type AgentCertificate, parseCertificate } from './certificate.ts'
import { decodeBase64 } from './encoding.ts'
import { AgentError, printable, reasonOf } from './error.ts'
import type { Answer, Request, Session } from './transport.ts'

/** A server and the label of its EST part. */
export interface Endpoint {
  session: Session
  label: string | null
  /** Wall-clock time for a Retry-After that is a date, Unix milliseconds. */
  now: number
}

/** RFC 9110 §10.2.3: seconds or a date; null when absent or unreadable. */
export const parseRetryAfter = (text: string | undefined, now: number): number | null => {
  if (text === undefined) return null
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

const detailOf = (answer: Answer): string => {
  const text = new TextDecoder().decode(answer.body.subarray(0, 2048))
  try {
    const { detail, title } = JSON.parse(text) as { detail?: unknown; title?: unknown }
    return printable(String(detail ?? title ?? ''))
  } catch {
    return /^\s*</.test(text) ? '' : printable(text)
  }
}

const failure = (request: Request, answer: Answer, now: number): AgentError => {
  const { status } = answer
  const detail = detailOf(answer)
  const message = `${request.path}: the server answered ${status}${detail === '' ? '' : `: ${detail}`}`
  const retryAfter = parseRetryAfter(answer.headers['retry-after'], now)
  if (status === 401 || status === 403) return new AgentError('refused', message, { retryAfter })
  if (status === 404) return new AgentError('unsupported', message)
  if (status === 202 || status === 429 || status >= 500) return new AgentError('busy', message, { retryAfter })
  return new AgentError('rejected', message, { retryAfter })
}

const call = async ({ session, now }: Endpoint, request: Request): Promise<Answer> => {
  const answer = await session.request(request)
  if (answer.status !== 200) throw failure(request, answer, now)
  return answer
}

const readable = <T>(what: string, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    if (error instanceof AgentError) throw error
    throw new AgentError('answer', `${what}: ${reasonOf(error)}`, { cause: error })
  }
}

const certificatesOf = (answer: Answer, what: string): AgentCertificate[] =>
  readable(what, () =>
    decodeCertsOnly(decodeBase64(new TextDecoder().decode(answer.body))).map((der) => parseCertificate(der, what)),
  )

/** RFC 7030 §4.1: the authorities of the server. */
export const getAuthorities = async (endpoint: Endpoint): Promise<AgentCertificate[]> => {
  const answer = await call(endpoint, { method: 'GET', path: estPath('cacerts', endpoint.label) })
  return certificatesOf(answer, 'cacerts')
}

const requestHeaders = { 'Content-Type': estMediaTypes.request, ...estTransferEncoding }

/** RFC 7030 §4.2.1 with HTTP Basic: user = device or nothing, password = token. */
export const enrol = async (
  endpoint: Endpoint,
  { csr, device, token }: { csr: Uint8Array; device: string | null; token: string },
): Promise<AgentCertificate[]> => {
  const credentials = encodeBase64(new TextEncoder().encode(`${device ?? ''}:${token}`))
  const answer = await call(endpoint, {
    method: 'POST',
    path: estPath('simpleenroll', endpoint.label),
    headers: { ...requestHeaders, Authorization: `Basic ${credentials}` },
    body: encodeBase64Lines(csr),
  })
  return certificatesOf(answer, 'simpleenroll')
}

/** RFC 7030 §4.2.2: over the handshake with the present certificate. */
export const reenrol = async (endpoint: Endpoint, csr: Uint8Array): Promise<AgentCertificate[]> => {
  const answer = await call(endpoint, {
    method: 'POST',
    path: estPath('simplereenroll', endpoint.label),
    headers: requestHeaders,
    body: encodeBase64Lines(csr),
  })
  return certificatesOf(answer, 'simplereenroll')
}

/** Throws AgentError `unsupported` on a server that is not Everleaf. */
export const checkIn = async (endpoint: Endpoint, request: CheckInRequest): Promise<CheckInResponse> => {
  const answer = await call(endpoint, {
    method: 'POST',
    path: `${everleafRoot}/check-in`,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  })
  return readable('check-in', () => parseCheckInResponse(JSON.parse(new TextDecoder().decode(answer.body))))
}

const mostAnchors = 64

/** The certificates that the server wants trusted. */
export const getTrustAnchors = async (endpoint: Endpoint): Promise<AgentCertificate[]> => {
  const answer = await call(endpoint, { method: 'GET', path: `${everleafRoot}/trust-anchors` })
  return readable('trust-anchors', () =>
    decodePem(new TextDecoder().decode(answer.body), 'CERTIFICATE', { maximum: mostAnchors }).map((der) =>
      parseCertificate(der, 'trust-anchors'),
    ),
  )
}
