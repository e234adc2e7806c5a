import { crlToBeSigned } from '../../src/pki/crl.ts'
import { algorithmForKey, assembleSigned } from '../../src/pki/signature.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { signWith, type TestAuthority, type TestCertificate } from '../support/certificates.ts'

/** A CRL of an authority, PEM, valid for an hour around now. */
export const crlOf = (authority: TestAuthority, revoked: readonly TestCertificate[], number = 1): string => {
  const now = Date.now()
  const signatureAlgorithm = algorithmForKey(authority.key.spki)
  const tbs = crlToBeSigned({
    signatureAlgorithm,
    issuer: authority.parsed.subject,
    authorityKeyIdentifier: authority.parsed.subjectKeyIdentifier ?? new Uint8Array(),
    number: BigInt(number),
    thisUpdate: now - 60_000,
    nextUpdate: now + 3_600_000,
    entries: revoked.map(({ parsed }) => ({ serial: parsed.serial, revokedAt: now - 30_000, reason: 'keyCompromise' })),
  })
  return encodePem(
    'X509 CRL',
    assembleSigned(tbs, signatureAlgorithm, signWith(authority.privateKey, signatureAlgorithm, tbs)),
  )
}
