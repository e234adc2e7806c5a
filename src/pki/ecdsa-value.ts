import { readDer, readFields, readIntegerBytes } from '../protocol/der.ts'
import { ProtocolError } from '../protocol/error.ts'

/** Whether the content of an INTEGER is a positive number of `size` octets at most. */
const isNumberOf = (content: Uint8Array, size: number): boolean => {
  const [first = 0x80] = content
  if (first >= 0x80) return false
  const length = first === 0 ? content.length - 1 : content.length
  return length > 0 && length <= size
}

/**
 * Ecdsa-Sig-Value (RFC 3279 §2.2.3) as strict DER with two positive numbers of the curve's size in octets, so that a signature has one
 * spelling. OpenSSL asks for the same today; libraries that did not have let altered certificates pass for new ones.
 */
export const isStrictEcdsaValue = (signature: Uint8Array, size: number): boolean => {
  try {
    const fields = readFields(readDer(signature, { depth: 2, bytes: 256 }), 'ECDSA signature')
    const numbers = [readIntegerBytes(fields.next('r'), 'r'), readIntegerBytes(fields.next('s'), 's')]
    fields.end()
    return numbers.every((number) => isNumberOf(number, size))
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}
