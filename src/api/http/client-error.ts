import type { Duplex } from 'node:stream'
import { titleOf } from '../problem.ts'

const statusOf = (code: string | undefined): number =>
  code === 'HPE_HEADER_OVERFLOW'
    ? 431
    : code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 408
      : code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW'
        ? 413
        : 400

const messages: Record<number, string> = {
  400: 'this is not a well-formed HTTP/1.1 request',
  408: 'the request did not arrive whole in time',
  413: 'the chunk extensions are too large',
  431: 'the head of the request is too large',
}

/** Answers what the HTTP parser refused and ends the connection. `isAnswering`: it carries another answer, into which nothing may be mixed. */
export const answerClientError = (
  error: NodeJS.ErrnoException,
  socket: Duplex,
  isAnswering: boolean,
): number | null => {
  const isHttp = error.code?.startsWith('HPE_') || error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  if (!isHttp || !socket.writable || isAnswering) {
    socket.destroy()
    return null
  }
  const status = statusOf(error.code)
  const text = `${messages[status]}\n`
  const head = `HTTP/1.1 ${status} ${titleOf(status)}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n\r\n`
  socket.end(head + text, 'latin1', () => socket.destroy())
  return status
}
