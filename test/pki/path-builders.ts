import type { ParsedCertificate } from '../../src/pki/certificate.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import type { ParsedCrl } from '../../src/pki/crl.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import type { PathCheck } from '../../src/pki/path.ts'
import { nullValue } from '../../src/protocol/der.ts'
import type { AuthorityOptions, LeafOptions, TestAuthority, TestCertificate } from '../support/certificates.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { editExtensions, resign } from './certificate-surgery.ts'
import { day, thisUpdate } from './crl-builders.ts'

/*
 * One chain per defect, each with our verdict and OpenSSL's: error number and depth (X509_V_ERR_*), or `ok`. Where the
 * two shall differ, `differs` says why.
 */

export const now = thisUpdate

export const period = { notBefore: now - 30 * day, notAfter: now + 30 * day }
export const past = { notBefore: now - 60 * day, notAfter: now - day }
export const future = { notBefore: now + day, notAfter: now + 60 * day }

export interface PathCase {
  leaf: ParsedCertificate
  intermediates: readonly ParsedCertificate[]
  anchors: readonly ParsedCertificate[]
  crls?: readonly ParsedCrl[]
  grace?: number
  purpose?: 'clientAuth' | 'serverAuth'
  verdict: 'ok' | [check: PathCheck, certificate: string, expected: RegExp, actual: RegExp]
  openssl: 'ok' | [error: number, depth: number]
  differs?: string
}

export const authority = (name: string, options: Partial<AuthorityOptions> = {}): TestAuthority =>
  makeAuthority({ name, ...period, ...options })

export const leafOf = (issuer: TestAuthority, options: Partial<LeafOptions> = {}): TestCertificate =>
  makeLeaf({ issuer, subject: 'device-1', ...period, ...options })

export const root = authority('Root')
export const issuing = authority('Issuing', { parent: root, pathLength: 0 })
export const leaf = leafOf(issuing)

/** Leaf, intermediates and anchor of the chain above a leaf. */
export const chain = (issuer: TestAuthority, options: Partial<LeafOptions> = {}) =>
  chainOf(leafOf(issuer, options), issuer)
export const chainOf = ({ parsed }: TestCertificate, issuer: TestAuthority) => ({
  leaf: parsed,
  intermediates: issuer.chain.slice(0, -1),
  anchors: issuer.chain.slice(-1),
})

export const below = (length: number): TestAuthority =>
  length === 0 ? root : authority(`Level ${length}`, { parent: below(length - 1) })

const unknownExtension = encodeExtension('1.3.6.1.4.1.99999.1', true, nullValue())
export const withUnknown = <T extends TestCertificate>(certificate: T, issuer: TestAuthority): T => ({
  ...certificate,
  ...resign(
    certificate,
    issuer,
    editExtensions(certificate.parsed.tbs, (list) => [...list, unknownExtension]),
  ),
})

/** Changes the last octet but some of the signature: still an ECDSA signature, only of nothing. */
export const tampered = ({ der }: TestCertificate): ParsedCertificate =>
  parseCertificate(der.with(der.length - 3, (der.at(-3) ?? 0) ^ 0x55))

export const reissue = (of: TestAuthority, parent: TestAuthority, options: Partial<AuthorityOptions> = {}) =>
  authority(of.name, { key: of.key, parent, ...options })

export const twin = authority('Root')
