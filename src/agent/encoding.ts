/**
 * Base64 and PEM by Node's own decoder. The loops of protocol/ are as strict and portable, but hot enough here that V8 compiles
 * them twice, which costs a small device more memory than all the rest of the agent's code.
 */

/** RFC 4648 §4 with white space tolerated (RFC 8951 §3); anything that does not encode back to itself is refused. */
export const decodeBase64 = (text: string): Uint8Array => {
  const digits = text.replace(/[ \t\r\n]+/g, '')
  const bytes = Buffer.from(digits, 'base64')
  if (bytes.toString('base64') !== digits) throw new Error('not base64')
  return bytes
}

const block = /-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\n/g

/** The certificates of a file as the agent writes it: nothing but blocks. A cut-off block is refused, never passed over. */
export const decodeOwnPem = (text: string): Uint8Array[] => {
  if (text.replace(block, '') !== '' || text === '') throw new Error('not a series of whole certificates')
  return [...text.matchAll(block)].map(([, body = '']) => decodeBase64(body))
}
