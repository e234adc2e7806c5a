import type { CertificateContent, ParsedCertificate } from '../pki/certificate.ts'
import type { CrlContent, ParsedCrl } from '../pki/crl.ts'

/**
 * A CA. `id` is stable and unique over roll-overs, e.g. `issuing-g1`. What it can do beyond being trusted it carries as
 * an ability: one that cannot issue has no `issuer`.
 */
export interface Authority {
  id: string
  certificate: ParsedCertificate
  /** From its own certificate up to and with the root. */
  chain: readonly ParsedCertificate[]
  issuer: Issuer | null
  crlSigner: CrlSigner | null
}

/** What the caller decides of a certificate; issuer name, key identifier and signature are the authority's. */
export type CertificateOrder = Omit<CertificateContent, 'issuer' | 'authorityKeyIdentifier' | 'signatureAlgorithm'>

export interface Issuer {
  /** Lints and signs one end-entity certificate and returns it as read back. Records nothing. `refused` when a lint fails. */
  issue(order: CertificateOrder): Promise<ParsedCertificate>
}

export type CrlOrder = Omit<CrlContent, 'issuer' | 'authorityKeyIdentifier' | 'signatureAlgorithm'>

export interface CrlSigner {
  /** Signs one CRL, lints and verifies it and returns what was read back. Records nothing. `refused` when a lint fails. */
  signCrl(order: CrlOrder): Promise<ParsedCrl>
}

/** All authorities of this server. `issuing` is the one that new certificates come from. */
export interface Authorities {
  issuing: Authority & { issuer: Issuer }
  all: readonly Authority[]
}
