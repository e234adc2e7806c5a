import { parseCertificate } from '../../src/pki/certificate.ts'
import { algorithmForKey, assembleSigned } from '../../src/pki/signature.ts'
import { contextConstructed, readDer, sequence, tags } from '../../src/protocol/der.ts'
import type { TestAuthority, TestCertificate } from '../support/certificates.ts'
import { signWith } from '../support/certificates.ts'

/** Rebuilds a TBSCertificate from its fields: version, serial, signature, issuer, validity, subject, key, extensions. */
export const editFields = (tbs: Uint8Array, edit: (fields: Uint8Array[]) => Uint8Array[]): Uint8Array =>
  sequence(...edit(readDer(tbs).children.map(({ bytes }) => bytes)))

/** Rebuilds a TBSCertificate with other extensions. */
export const editExtensions = (tbs: Uint8Array, edit: (extensions: Uint8Array[]) => Uint8Array[]): Uint8Array =>
  editFields(tbs, (fields) => {
    const list = readDer(fields.at(-1) ?? new Uint8Array(0)).children.find(({ tag }) => tag === tags.sequence)
    const extensions = list?.children.map(({ bytes }) => bytes) ?? []
    return [...fields.slice(0, -1), contextConstructed(3, sequence(...edit(extensions)))]
  })

/** The same certificate with another signed part, signed anew. */
export const resign = (certificate: TestCertificate, issuer: TestAuthority, tbs: Uint8Array): TestCertificate => {
  const algorithm = algorithmForKey(issuer.key.spki)
  const der = assembleSigned(tbs, algorithm, signWith(issuer.privateKey, algorithm, tbs))
  return { ...certificate, der, parsed: parseCertificate(der) }
}
