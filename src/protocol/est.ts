/** Enrolment over Secure Transport (RFC 7030, RFC 8951): what is on the wire besides the DER. */

/** All operations lie under this path, after an optional label: `/.well-known/est[/<label>]/simpleenroll`. */
export const estRoot = '/.well-known/est'

export const estOperations = {
  cacerts: 'cacerts',
  csrattrs: 'csrattrs',
  simpleenroll: 'simpleenroll',
  simplereenroll: 'simplereenroll',
} as const

export type EstOperation = keyof typeof estOperations

/** Path of an operation. A label is one path segment (RFC 7030 §3.2.2). */
export const estPath = (operation: EstOperation, label: string | null = null): string =>
  label === null ? `${estRoot}/${operation}` : `${estRoot}/${encodeURIComponent(label)}/${operation}`

/** Media types, spelled as libest compares them. */
export const estMediaTypes = {
  /** A CSR. */
  request: 'application/pkcs10',
  /** The one certificate that answers an enrolment. */
  enrolled: 'application/pkcs7-mime; smime-type=certs-only',
  /** The certificates of `cacerts`. */
  caCertificates: 'application/pkcs7-mime',
  csrAttributes: 'application/csrattrs',
} as const

/** BouncyCastle decodes base64 only where an answer has this header, and RFC 8951 §3 lets everyone else ignore it. */
export const estTransferEncoding = { 'Content-Transfer-Encoding': 'base64' } as const

/** Length of a CSR in DER. */
export const maximumCsrOctets = 65_536

/** Everleaf's own calls beside EST lie under this path. */
export const everleafRoot = '/everleaf/v1'
