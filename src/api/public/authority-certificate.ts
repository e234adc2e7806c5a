import type { IncomingHttpHeaders } from 'node:http'
import type { Authority } from '../../authority/authority.ts'
import type { Answer } from '../http/answer.ts'
import { httpDate, isUnchanged, quoted } from '../http/conditional.ts'

/** The DER of a CA's certificate (RFC 5280 §4.2.2.1, RFC 2585 §4.1). It never changes: a roll-over has another id. */
export const authorityCertificate = ({ certificate }: Authority, headers: IncomingHttpHeaders): Answer => {
  const { der, fingerprint, notBefore } = certificate
  const etag = quoted(fingerprint)
  const caching = { ETag: etag, 'Last-Modified': httpDate(notBefore), 'Cache-Control': 'public, max-age=86400' }
  if (isUnchanged(headers, etag, notBefore)) return { status: 304, headers: caching }
  return { status: 200, headers: { ...caching, 'Content-Type': 'application/pkix-cert' }, body: der }
}
