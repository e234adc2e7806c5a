import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** What goes back. Header names are sent with the case that they are written in: some clients compare it. */
export interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string | Uint8Array
  /** Runs once after the last byte was handed to the operating system; not at all when the client went away before. */
  flushed?: () => Promise<void>
}

/** Larger bodies go out slice by slice as the client takes them, so that slow readers hold no copy. */
const sliceBytes = 128 * 1024

/** Sends the answer with a Content-Length, never chunked, head and body in one write where it is not large. */
export const send = async (request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> => {
  const body = answer.body ?? ''
  const length = Buffer.byteLength(body)
  const headers = Object.entries(answer.headers ?? {})
  if (answer.status !== 304) headers.push(['Content-Length', String(length)])
  response.writeHead(answer.status, headers.flat())
  if (request.method === 'HEAD' || length === 0) response.end()
  else if (length <= sliceBytes) response.end(body, 'utf8')
  else await sendSlices(response, typeof body === 'string' ? Buffer.from(body) : body)
}

const sendSlices = async (response: ServerResponse, body: Uint8Array): Promise<void> => {
  const gone = new Promise<void>((resolve) => response.once('close', resolve))
  for (let offset = 0; offset < body.byteLength; offset += sliceBytes) {
    if (response.write(body.subarray(offset, offset + sliceBytes))) continue
    await Promise.race([once(response, 'drain'), gone])
    if (response.destroyed) return
  }
  response.end()
}
