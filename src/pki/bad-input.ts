import { EverleafError } from '../errors.ts'
import { ProtocolError } from '../protocol/error.ts'

/** Runs a parser of bytes that others made; what it finds wrong with them becomes `bad-input`, named by `what`. */
export const readingInput = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (error instanceof ProtocolError)
      throw new EverleafError('bad-input', `${what}: ${error.message}`, { cause: error })
    throw error
  }
}
