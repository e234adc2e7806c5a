import { sha256Hex } from '../pki/digest.ts'

/** What is stored of an enrolment token. The token has 192 random bits, so that a plain hash cannot be searched. */
export const tokenHash = (token: string): string => sha256Hex(new TextEncoder().encode(token))
