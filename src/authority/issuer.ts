import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock/clock.ts'
import { EverleafError } from '../errors.ts'
import { certificateToBeSigned, type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { crlToBeSigned } from '../pki/crl.ts'
import { lintCertificate, lintCrl } from '../pki/lint.ts'
import { algorithmForKey, assembleSigned } from '../pki/signature.ts'
import type { CertificateOrder, CrlSigner, Issuer } from './authority.ts'
import { createSigningKey } from './keys.ts'

interface Signer {
  certificate: ParsedCertificate
  key: KeyObject
}

const iso = (instant: number): string => new Date(instant).toISOString()

/** What every certificate and CRL of this signer says of it. */
const identityOf = ({ certificate }: Signer) => {
  const { subject, subjectKeyIdentifier, subjectText, spki } = certificate
  if (subjectKeyIdentifier === null)
    throw new EverleafError(
      'damaged',
      `the certificate of ${subjectText} has no subject key identifier (RFC 5280 §4.2.1.2)`,
    )
  return { issuer: subject, authorityKeyIdentifier: subjectKeyIdentifier, signatureAlgorithm: algorithmForKey(spki) }
}

const refuseOrder = (order: CertificateOrder, own: ParsedCertificate, now: number): void => {
  const refuse = (message: string) => new EverleafError('refused', `${own.subjectText}: ${message}`)
  if (now > own.notAfter) throw refuse(`this CA expired at ${iso(own.notAfter)}, now is ${iso(now)}`)
  if (order.notAfter > own.notAfter)
    throw refuse(`the certificate would end at ${iso(order.notAfter)}, after this CA itself at ${iso(own.notAfter)}`)
  if (order.extensions.authority !== undefined)
    throw refuse('asked for a CA certificate, issues end-entity certificates only')
}

/** Issues end-entity certificates: lint, sign, read back, verify; only then is it handed out. */
export const createIssuer = (signer: Signer, clock: Clock): Issuer => {
  const own = signer.certificate
  const identity = identityOf(signer)
  const key = createSigningKey(signer.key, own.spki, identity.signatureAlgorithm)
  return {
    async issue(order) {
      refuseOrder(order, own, clock.now())
      const tbs = certificateToBeSigned({ ...order, ...identity })
      lintCertificate(tbs, own)
      const der = assembleSigned(tbs, identity.signatureAlgorithm, await key.sign(tbs))
      const read = parseCertificate(der)
      if (read.serial !== order.serial || !(await key.verify(read.tbs, read.signature)))
        throw new EverleafError('internal', `certificate ${order.serial} does not read back as signed; not issued`)
      return read
    },
  }
}

/**
 * Signs CRLs in the same steps, but lints what it reads back: a look at every entry costs as much as all else, and a CRL
 * that fails it never leaves this function.
 */
export const createCrlSigner = (signer: Signer): CrlSigner => {
  const own = signer.certificate
  const identity = identityOf(signer)
  const key = createSigningKey(signer.key, own.spki, identity.signatureAlgorithm)
  return {
    async signCrl(order) {
      const tbs = crlToBeSigned({ ...order, ...identity })
      const read = lintCrl(assembleSigned(tbs, identity.signatureAlgorithm, await key.sign(tbs)), own)
      if (read.number !== order.number || !(await key.verify(read.tbs, read.signature)))
        throw new EverleafError('internal', `CRL ${order.number} does not read back as signed; not issued`)
      return read
    },
  }
}
