import type { IncomingMessage, ServerResponse } from 'node:http'
import { StatusError } from '../problem.ts'

/** Beyond the limit the rest is read and thrown away up to this many times the limit, so that the client sees the answer. */
const drainFactor = 16

/**
 * The body, at most `limit` bytes, chunked or not. `100 Continue` is sent only when the size told is acceptable.
 * Throws 413, and 400 where the client goes away within it.
 */
export const readBody = async (
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
): Promise<Uint8Array> => {
  const told = Number(request.headers['content-length'] ?? 0)
  const tooLarge = () =>
    new StatusError(
      413,
      `the body has ${told > limit ? told : `more than ${limit}`} bytes, at most ${limit} are read`,
      {
        Connection: 'close',
      },
    )
  const waits = request.headers.expect !== undefined
  if (told > limit && (waits || told > limit * drainFactor)) throw tooLarge()
  if (waits) response.writeContinue()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of chunksOf(request)) {
    length += chunk.length
    if (length <= limit) chunks.push(chunk)
    if (length > limit * drainFactor) throw tooLarge()
  }
  if (length > limit) throw tooLarge()
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
}

/** A client that goes away within its body made a mistake of its own. */
async function* chunksOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request as AsyncIterable<Buffer>
  } catch {
    throw new StatusError(400, 'the connection ended before the body did')
  }
}
