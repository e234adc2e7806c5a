import type { KeyObject } from 'node:crypto'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { Instant, KeyType } from '../../src/model.ts'
import type { CertificateContent, CertificateExtensions, ParsedCertificate } from '../../src/pki/certificate.ts'
import { certificateToBeSigned, keyIdentifier, parseCertificate } from '../../src/pki/certificate.ts'
import { serialFromBytes } from '../../src/pki/serial.ts'
import type { SignatureAlgorithm } from '../../src/pki/signature.ts'
import { algorithmForKey, assembleSigned } from '../../src/pki/signature.ts'
import { buildCsr } from '../../src/protocol/csr.ts'
import type { GeneralNames } from '../../src/protocol/general-names.ts'
import type { NameAttribute } from '../../src/protocol/name.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { encodePem } from '../../src/protocol/pem.ts'

export interface TestKey {
  type: KeyType
  privateKey: KeyObject
  publicKey: KeyObject
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array
}

/** Makes a new key. RSA-4096 takes a second. */
export const makeKey = (type: KeyType = 'ec-p256'): TestKey => {
  const pair = type.startsWith('rsa-')
    ? generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) })
    : generateKeyPairSync('ec', { namedCurve: type === 'ec-p256' ? 'P-256' : 'P-384' })
  return { type, ...pair, spki: Uint8Array.from(pair.publicKey.export({ format: 'der', type: 'spki' })) }
}

/** Signs as X.509 wants it: for ECDSA the DER of r and s. */
export const signWith = (privateKey: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Uint8Array =>
  sign(algorithm.slice(algorithm.indexOf('-') + 1), data, privateKey)

export interface TestCertificate {
  der: Uint8Array
  pem: string
  parsed: ParsedCertificate
  key: TestKey
  privateKey: KeyObject
  /** Unencrypted PKCS #8. */
  privateKeyPem: string
}

export interface TestAuthority extends TestCertificate {
  name: string
  parent: TestAuthority | null
  /** Its own certificate, then up to and with the root. */
  chain: ParsedCertificate[]
}

type Attributes = ReadonlyArray<readonly [NameAttribute, string]>

const finish = (der: Uint8Array, key: TestKey): TestCertificate => ({
  der,
  pem: encodePem('CERTIFICATE', der),
  parsed: parseCertificate(der),
  key,
  privateKey: key.privateKey,
  privateKeyPem: key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
})

interface Order {
  signer: KeyObject
  algorithm: SignatureAlgorithm
  issuer: Uint8Array
  issuerSpki: Uint8Array | null
  subject: Uint8Array
  key: TestKey
  notBefore: Instant
  notAfter: Instant
  extensions: CertificateExtensions
  /** Replaces any part, for certificates that should not exist. */
  content?: Partial<CertificateContent>
}

const issue = (order: Order): TestCertificate => {
  const content: CertificateContent = {
    serial: serialFromBytes(randomBytes(16)),
    signatureAlgorithm: order.algorithm,
    issuer: order.issuer,
    subject: order.subject,
    notBefore: order.notBefore,
    notAfter: order.notAfter,
    spki: order.key.spki,
    authorityKeyIdentifier: order.issuerSpki === null ? null : keyIdentifier(order.issuerSpki),
    extensions: order.extensions,
    ...order.content,
  }
  const tbs = certificateToBeSigned(content)
  const signature = signWith(order.signer, content.signatureAlgorithm, tbs)
  return finish(assembleSigned(tbs, content.signatureAlgorithm, signature), order.key)
}

export interface AuthorityOptions {
  /** Its common name. */
  name: string
  key?: TestKey
  /** Absent: a self-signed root. */
  parent?: TestAuthority
  notBefore: Instant
  notAfter: Instant
  pathLength?: number | null
  /** Further attributes of its name, before the common name. */
  attributes?: Attributes
  extensions?: Partial<CertificateExtensions>
  content?: Partial<CertificateContent>
}

export const makeAuthority = (options: AuthorityOptions): TestAuthority => {
  const { name, key = makeKey(), parent, notBefore, notAfter, pathLength = null, attributes = [] } = options
  const subject = encodeName([...attributes, ['CN', name]])
  const signer = parent?.key ?? key
  const certificate = issue({
    signer: signer.privateKey,
    algorithm: algorithmForKey(signer.spki),
    issuer: parent?.parsed.subject ?? subject,
    issuerSpki: parent?.parsed.spki ?? null,
    subject,
    key,
    notBefore,
    notAfter,
    extensions: { authority: { pathLength }, keyUsage: ['keyCertSign', 'cRLSign'], ...options.extensions },
    content: options.content,
  })
  return { ...certificate, name, parent: parent ?? null, chain: [certificate.parsed, ...(parent?.chain ?? [])] }
}

export interface LeafOptions {
  issuer: TestAuthority
  /** Common name. Empty: no subject at all. */
  subject: string
  /** Further attributes of the subject, before the common name. */
  attributes?: Attributes
  san?: Partial<GeneralNames>
  key?: TestKey
  notBefore: Instant
  notAfter: Instant
  eku?: ReadonlyArray<'clientAuth' | 'serverAuth'>
  extensions?: Partial<CertificateExtensions>
  content?: Partial<CertificateContent>
}

export const makeLeaf = (options: LeafOptions): TestCertificate => {
  const { issuer, subject, key = makeKey(), notBefore, notAfter, eku = ['clientAuth'], attributes = [] } = options
  const commonName: Attributes = subject === '' ? [] : [['CN', subject]]
  return issue({
    signer: issuer.privateKey,
    algorithm: algorithmForKey(issuer.key.spki),
    issuer: issuer.parsed.subject,
    issuerSpki: issuer.key.spki,
    subject: encodeName([...attributes, ...commonName]),
    key,
    notBefore,
    notAfter,
    extensions: {
      keyUsage: key.type.startsWith('rsa-') ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'],
      extendedKeyUsage: eku,
      ...(options.san === undefined ? {} : { subjectAlternativeName: { dns: [], uri: [], ip: [], ...options.san } }),
      ...options.extensions,
    },
    content: options.content,
  })
}

export interface CsrOptions {
  /** Common name. Empty: no subject at all. */
  subject: string
  attributes?: Attributes
  san?: Partial<GeneralNames>
  key?: TestKey
  challengePassword?: string
}

/** A good CSR and the key that it is for. */
export const makeCsr = async (options: CsrOptions): Promise<{ der: Uint8Array; pem: string; key: TestKey }> => {
  const { subject, attributes = [], san, key = makeKey(), challengePassword } = options
  const commonName: Attributes = subject === '' ? [] : [['CN', subject]]
  const signatureAlgorithm =
    key.type === 'ec-p256' ? 'ecdsa-sha256' : key.type === 'ec-p384' ? 'ecdsa-sha384' : 'rsa-sha256'
  const der = await buildCsr({
    subject: encodeName([...attributes, ...commonName]),
    spki: key.spki,
    san: san === undefined ? undefined : { dns: [], uri: [], ip: [], ...san },
    challengePassword,
    signatureAlgorithm,
    sign: (toBeSigned) => signWith(key.privateKey, signatureAlgorithm, toBeSigned),
  })
  return { der, pem: encodePem('CERTIFICATE REQUEST', der), key }
}
