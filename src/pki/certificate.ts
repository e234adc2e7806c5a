/** X.509 certificates (RFC 5280): what goes into one, and what is read out of one. */

export type { CertificateContent, CertificateExtensions } from './certificate-content.ts'
export { certificateToBeSigned, keyIdentifier } from './certificate-content.ts'
export type { ParsedCertificate } from './certificate-reader.ts'
export { parseCertificate } from './certificate-reader.ts'
export type { KeyUsage } from './extensions.ts'
