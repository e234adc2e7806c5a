import { createHash } from 'node:crypto'

/** SHA-256, lower-case hexadecimal. */
export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
