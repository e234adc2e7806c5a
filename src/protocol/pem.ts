import { decodeBase64, encodeBase64Lines } from './base64.ts'
import { ProtocolError } from './error.ts'

/** One block in the strict form of RFC 7468 §3: 64 columns, LF, a trailing LF. */
export const encodePem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${encodeBase64Lines(der, 64)}-----END ${label}-----\n`

const boundary = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----$/

/**
 * The blocks of `label` in their order; at least one, at most `maximum`. Text outside blocks is allowed and skipped (RFC 7468 §5.2); a block
 * of another label, a block that is cut off, nested or not base64 is refused, so that a truncated bundle never passes for a shorter one.
 */
export const decodePem = (text: string, label: string, options: { maximum?: number } = {}): Uint8Array[] => {
  const maximum = options.maximum ?? Number.POSITIVE_INFINITY
  const blocks: Uint8Array[] = []
  let body: string[] | null = null
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trimEnd()
    const where = `PEM line ${index + 1}`
    const match = boundary.exec(line)
    if (match === null) {
      if (line.includes('-----'))
        throw new ProtocolError(`${where}: a damaged boundary; expected -----BEGIN ${label}----- alone on its line`)
      if (body !== null) body.push(line)
      continue
    }
    const [, kind, found] = match
    if (found !== label) throw new ProtocolError(`${where}: found ${kind} ${found}, expected ${label}`)
    if (kind === 'BEGIN') {
      if (body !== null) throw new ProtocolError(`${where}: BEGIN inside a block that was not ended; it is cut off`)
      if (blocks.length === maximum) throw new ProtocolError(`${where}: more than ${maximum} blocks of ${label}`)
      body = []
      continue
    }
    if (body === null) throw new ProtocolError(`${where}: END without a BEGIN; the start is cut off`)
    blocks.push(decodeBody(body, `block of ${label} that ends at ${where}`))
    body = null
  }
  if (body !== null) throw new ProtocolError(`PEM: the last block of ${label} has no END; it is cut off`)
  if (blocks.length === 0) throw new ProtocolError(`PEM: no block of ${label} found`)
  return blocks
}

const decodeBody = (lines: readonly string[], where: string): Uint8Array => {
  const bytes = (() => {
    try {
      return decodeBase64(lines.join('\n'))
    } catch (error) {
      throw new ProtocolError(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  })()
  if (bytes.length === 0) throw new ProtocolError(`${where}: it is empty`)
  return bytes
}
