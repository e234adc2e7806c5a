import type { IncomingHttpHeaders } from 'node:http'
import type { Instant } from '../../model.ts'

/** RFC 9110 §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`. */
export const httpDate = (instant: Instant): string => new Date(instant).toUTCString()

/** Whether the client has it already (RFC 9110 §13.2.2): If-None-Match decides where given, If-Modified-Since otherwise. */
export const isUnchanged = (headers: IncomingHttpHeaders, etag: string, modified?: Instant): boolean => {
  const tags = headers['if-none-match']
  if (tags !== undefined) return tags.split(',').some((tag) => tag.trim() === '*' || weak(tag.trim()) === weak(etag))
  const since = headers['if-modified-since']
  if (since === undefined || modified === undefined) return false
  const instant = Date.parse(since)
  return Number.isFinite(instant) && Math.floor(modified / 1000) * 1000 <= instant
}

const weak = (tag: string): string => (tag.startsWith('W/') ? tag.slice(2) : tag)

/** A strong ETag of an opaque value that has no quotes in it. */
export const quoted = (value: string): string => (value.startsWith('"') ? value : `"${value}"`)
