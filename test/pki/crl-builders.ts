import type { CrlContent, ParsedCrl } from '../../src/pki/crl.ts'
import { crlToBeSigned, parseCrl } from '../../src/pki/crl.ts'
import { algorithmForKey, assembleSigned } from '../../src/pki/signature.ts'
import type { TestAuthority } from '../support/certificates.ts'
import { signWith } from '../support/certificates.ts'

export const thisUpdate = Date.UTC(2026, 5, 1, 12)
export const day = 86_400_000

export const crlContent = (authority: TestAuthority, content: Partial<CrlContent> = {}): CrlContent => ({
  signatureAlgorithm: algorithmForKey(authority.key.spki),
  issuer: authority.parsed.subject,
  authorityKeyIdentifier: authority.parsed.subjectKeyIdentifier ?? new Uint8Array(0),
  number: BigInt(thisUpdate),
  thisUpdate,
  nextUpdate: thisUpdate + 7 * day,
  entries: [],
  ...content,
})

export const signCrl = (authority: TestAuthority, tbs: Uint8Array): Uint8Array => {
  const algorithm = algorithmForKey(authority.key.spki)
  return assembleSigned(tbs, algorithm, signWith(authority.privateKey, algorithm, tbs))
}

export const makeCrl = (authority: TestAuthority, content: Partial<CrlContent> = {}): ParsedCrl =>
  parseCrl(signCrl(authority, crlToBeSigned(crlContent(authority, content))))
