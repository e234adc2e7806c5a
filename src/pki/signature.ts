import type { KeyObject } from 'node:crypto'
import { createPublicKey, verify } from 'node:crypto'
import { EverleafError } from '../errors.ts'
import type { DerNode } from '../protocol/der.ts'
import {
  bitString,
  nullValue,
  objectIdentifier,
  readFields,
  readObjectIdentifier,
  sequence,
  tags,
} from '../protocol/der.ts'
import { oid } from '../protocol/oid.ts'
import { isStrictEcdsaValue } from './ecdsa-value.ts'
import { describeKey } from './key.ts'

export type SignatureAlgorithm = 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-sha256' | 'rsa-sha384' | 'rsa-sha512'

const identifiers: Record<SignatureAlgorithm, string> = {
  'ecdsa-sha256': oid.ecdsaWithSHA256,
  'ecdsa-sha384': oid.ecdsaWithSHA384,
  'rsa-sha256': oid.sha256WithRSAEncryption,
  'rsa-sha384': oid.sha384WithRSAEncryption,
  'rsa-sha512': oid.sha512WithRSAEncryption,
}

const isAlgorithm = (name: string): name is SignatureAlgorithm => Object.hasOwn(identifiers, name)

const isRsa = (algorithm: SignatureAlgorithm): boolean => algorithm.startsWith('rsa-')

const hashOf = (algorithm: SignatureAlgorithm): string => algorithm.slice(algorithm.indexOf('-') + 1)

const algorithmsByOid = new Map<string, SignatureAlgorithm>()
for (const [name, identifier] of Object.entries(identifiers))
  if (isAlgorithm(name)) algorithmsByOid.set(identifier, name)

/** AlgorithmIdentifier: NULL parameters for RSA (RFC 4055 §5), none for ECDSA (RFC 5758 §3.2). */
const encoded = new Map<SignatureAlgorithm, Uint8Array>()
for (const algorithm of algorithmsByOid.values()) {
  const identifier = objectIdentifier(identifiers[algorithm])
  encoded.set(algorithm, isRsa(algorithm) ? sequence(identifier, nullValue()) : sequence(identifier))
}

/** The bytes are shared: not to be written to. */
export const algorithmIdentifier = (algorithm: SignatureAlgorithm): Uint8Array => encoded.get(algorithm) ?? sequence()

/** Null for an algorithm that we do not take, weak ones included; `ProtocolError` where it is no AlgorithmIdentifier at all. */
export const readAlgorithm = (node: DerNode): SignatureAlgorithm | null => {
  const fields = readFields(node, 'signature algorithm')
  const algorithm = algorithmsByOid.get(
    readObjectIdentifier(fields.next('algorithm identifier'), 'signature algorithm'),
  )
  const parameters = fields.optional()
  fields.end()
  if (algorithm === undefined) return null
  if (parameters === null) return algorithm
  return isRsa(algorithm) && parameters.tag === tags.nullValue && parameters.length === 2 ? algorithm : null
}

/** Names of algorithms that are met and refused, for errors. */
const otherAlgorithms = new Map([
  ['1.2.840.113549.1.1.2', 'RSA with MD2'],
  ['1.2.840.113549.1.1.4', 'RSA with MD5'],
  ['1.2.840.113549.1.1.5', 'RSA with SHA-1'],
  ['1.2.840.113549.1.1.14', 'RSA with SHA-224'],
  ['1.2.840.113549.1.1.10', 'RSA-PSS'],
  ['1.2.840.10045.4.1', 'ECDSA with SHA-1'],
  ['1.2.840.10045.4.3.1', 'ECDSA with SHA-224'],
  ['1.2.840.10045.4.3.4', 'ECDSA with SHA-512'],
  ['1.3.101.112', 'Ed25519'],
  ['1.3.101.113', 'Ed448'],
])

/** What an algorithm that `readAlgorithm` answered with null is, for people. */
export const describeAlgorithm = (node: DerNode): string => {
  const [first] = node.children
  if (first === undefined) return 'nothing'
  const identifier = readObjectIdentifier(first, 'signature algorithm')
  return (
    otherAlgorithms.get(identifier) ?? algorithmsByOid.get(identifier)?.concat(' with wrong parameters') ?? identifier
  )
}

interface VerificationKey {
  key: KeyObject
  /** Octets of one number of an ECDSA signature; null for RSA. */
  curveSize: number | null
}

const curveSizes = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
])

/** Keys that may verify: those of our own, and the larger ones that partner authorities have. Weak ones verify nothing. */
const usable = (description: string): Pick<VerificationKey, 'curveSize'> | null => {
  const curveSize = curveSizes.get(description)
  if (curveSize !== undefined) return { curveSize }
  const bits = Number(/^RSA-(\d+)$/.exec(description)?.[1] ?? 0)
  return bits >= 2048 && bits <= 8192 ? { curveSize: null } : null
}

const importKey = (spki: Uint8Array): VerificationKey | null => {
  const kind = usable(describeKey(spki))
  if (kind === null) return null
  try {
    const bytes = Buffer.from(spki.buffer, spki.byteOffset, spki.length)
    return { key: createPublicKey({ key: bytes, format: 'der', type: 'spki' }), ...kind }
  } catch {
    // A point off the curve, a modulus of zero: a key that can verify nothing.
    return null
  }
}

/** An import costs half as much as a verification, and an authority's key verifies every certificate of its devices. */
const importedKeys = new WeakMap<Uint8Array, VerificationKey | null>()

const verificationKey = (spki: Uint8Array): VerificationKey | null => {
  const known = importedKeys.get(spki)
  if (known !== undefined) return known
  const imported = importKey(spki)
  importedKeys.set(spki, imported)
  return imported
}

export interface SignedData {
  /** SubjectPublicKeyInfo of the signer. Keep the same array for the same key: its import is remembered by identity. */
  spki: Uint8Array
  algorithm: SignatureAlgorithm
  data: Uint8Array
  signature: Uint8Array
}

/** False for a wrong signature, a key that does not fit the algorithm, and a key too weak or too odd to verify anything. */
export const verifySignature = ({ spki, algorithm, data, signature }: SignedData): boolean => {
  const signer = verificationKey(spki)
  if (signer === null || (signer.curveSize === null) !== isRsa(algorithm)) return false
  if (signer.curveSize !== null && !isStrictEcdsaValue(signature, signer.curveSize)) return false
  return verify(hashOf(algorithm), data, signer.key, signature)
}

/** What a key signs with: the hash as strong as the curve; SHA-256 for RSA. */
export const algorithmForKey = (spki: Uint8Array): SignatureAlgorithm => {
  const description = describeKey(spki)
  if (description === 'P-256') return 'ecdsa-sha256'
  if (description === 'P-384') return 'ecdsa-sha384'
  if (description.startsWith('RSA-')) return 'rsa-sha256'
  throw new EverleafError('bad-input', `signing key: ${description}; expected RSA, P-256 or P-384`)
}

/** The signed form that certificates, CRLs and requests share (RFC 5280 §4.1.1). */
export const assembleSigned = (tbs: Uint8Array, algorithm: SignatureAlgorithm, signature: Uint8Array): Uint8Array =>
  sequence(tbs, algorithmIdentifier(algorithm), bitString(signature))
