import { EverleafError } from '../../errors.ts'
import { ProtocolError } from '../../protocol/error.ts'
import { readBody } from '../http/body.ts'
import { StatusError } from '../problem.ts'
import type { DeviceCall } from './call.ts'

const bodyBytes = 16 * 1024

/** What a client sent is malformed: its mistake, `bad-input`. */
export const translateProtocolError = <T>(read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new EverleafError('bad-input', cause.message, { cause })
  }
}

/** The JSON body, unchecked. Throws 415, 413 and `bad-input`. */
export const readJson = async ({ request, response }: DeviceCall): Promise<unknown> => {
  const body = await readBody(request, response, bodyBytes)
  const type = request.headers['content-type'] ?? ''
  if (type.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json')
    throw new StatusError(415, `the Content-Type is ${JSON.stringify(type.slice(0, 100))}, it must be application/json`)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new EverleafError('bad-input', 'the body is not JSON in UTF-8', { cause })
  }
}
