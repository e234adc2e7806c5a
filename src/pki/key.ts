import { EverleafError, messageOf } from '../errors.ts'
import type { KeyType } from '../model.ts'
import type { DerNode } from '../protocol/der.ts'
import {
  expectTag,
  readDer,
  readFields,
  readIntegerBytes,
  readNull,
  readObjectIdentifier,
  readOctetBitString,
  tags,
} from '../protocol/der.ts'
import { oid } from '../protocol/oid.ts'
import { readingInput } from './bad-input.ts'
import { isOnCurve } from './curve.ts'

export interface PublicKey {
  type: KeyType
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array
}

/** A SubjectPublicKeyInfo taken apart, whatever it holds. */
interface KeyParts {
  algorithm: string
  parameters: DerNode | null
  bits: Uint8Array
}

const readKeyParts = (spki: Uint8Array): KeyParts => {
  const fields = readFields(readDer(spki), 'SubjectPublicKeyInfo')
  const identifier = readFields(fields.next('algorithm'), 'algorithm of the key')
  const bits = readOctetBitString(fields.next('subjectPublicKey'), 'subjectPublicKey')
  fields.end()
  const algorithm = readObjectIdentifier(identifier.next('algorithm identifier'), 'algorithm of the key')
  const parameters = identifier.optional()
  identifier.end()
  return { algorithm, parameters, bits }
}

/** The octets of the key itself, of which RFC 5280 §4.2.1.2 takes the SHA-1 as key identifier. */
export const keyBits = (spki: Uint8Array): Uint8Array => readingInput('public key', () => readKeyParts(spki).bits)

const curves = new Map<string, 'P-256' | 'P-384'>([
  [oid.prime256v1, 'P-256'],
  [oid.secp384r1, 'P-384'],
])

/** Names of curves that are met and refused, for the error. */
const otherCurves = new Map([
  ['1.2.840.10045.3.1.1', 'P-192'],
  ['1.3.132.0.33', 'P-224'],
  ['1.3.132.0.35', 'P-521'],
  ['1.3.132.0.10', 'secp256k1'],
  ['1.3.36.3.3.2.8.1.1.7', 'brainpoolP256r1'],
  ['1.3.36.3.3.2.8.1.1.11', 'brainpoolP384r1'],
])

const otherAlgorithms = new Map([
  ['1.2.840.113549.1.1.10', 'RSA-PSS'],
  ['1.2.840.10040.4.1', 'DSA'],
  ['1.3.101.112', 'Ed25519'],
  ['1.3.101.113', 'Ed448'],
  ['1.3.101.110', 'X25519'],
])

const bitLength = (unsigned: Uint8Array): number => {
  const start = unsigned.findIndex((octet) => octet !== 0)
  return start < 0 ? 0 : 8 * (unsigned.length - start) - Math.clz32(unsigned[start] ?? 0) + 24
}

interface RsaNumbers {
  bits: number
  modulus: Uint8Array
  exponent: Uint8Array
}

const readRsa = ({ parameters, bits }: KeyParts): RsaNumbers => {
  if (parameters !== null) readNull(parameters, 'RSA parameters')
  const fields = readFields(readDer(bits), 'RSAPublicKey')
  const modulus = readIntegerBytes(fields.next('modulus'), 'modulus')
  const exponent = readIntegerBytes(fields.next('exponent'), 'exponent')
  fields.end()
  return { bits: bitLength(modulus), modulus, exponent }
}

const acceptable = 'RSA of 2048, 3072 or 4096 bits, P-256 or P-384'

const refuse = (found: string): never => {
  throw new EverleafError('bad-input', `public key: ${found}; accepted: ${acceptable}`)
}

const inspectRsa = (parts: KeyParts): KeyType => {
  if (parts.parameters === null) refuse('RSA without the NULL that RFC 3279 §2.3.1 asks for')
  const { bits, modulus, exponent } = readRsa(parts)
  if ((modulus[0] ?? 0) >= 0x80 || (exponent[0] ?? 0) >= 0x80) refuse('RSA with a negative number')
  const exponentBits = bitLength(exponent)
  if (((exponent[exponent.length - 1] ?? 0) & 1) === 0 || exponentBits < 17) {
    refuse(`RSA with an exponent that is even or under 65537 (${exponentBits} bits)`)
  }
  if (exponentBits > 256) refuse(`RSA with an exponent of ${exponentBits} bits, 256 at most`)
  if (((modulus[modulus.length - 1] ?? 0) & 1) === 0) refuse('RSA with an even modulus')
  switch (bits) {
    case 2048:
      return 'rsa-2048'
    case 3072:
      return 'rsa-3072'
    case 4096:
      return 'rsa-4096'
    default:
      return refuse(`RSA-${bits}${bits < 2048 ? ', which is weak' : ''}`)
  }
}

const inspectCurve = ({ parameters, bits }: KeyParts): KeyType => {
  if (parameters?.tag !== tags.objectIdentifier)
    return refuse('elliptic curve that is not named (explicit or absent parameters)')
  const identifier = readObjectIdentifier(parameters, 'curve')
  const curve = curves.get(identifier)
  if (curve === undefined) return refuse(`elliptic curve ${otherCurves.get(identifier) ?? identifier}`)
  const length = curve === 'P-256' ? 65 : 97
  if (bits[0] !== 0x04 || bits.length !== length) {
    return refuse(
      `${curve} point of ${bits.length} octets that begins with ${bits[0] ?? 'nothing'}, expected the uncompressed form of ${length} octets that begins with 4`,
    )
  }
  if (!isOnCurve(curve, bits.subarray(1))) return refuse(`${curve} point that is not on the curve`)
  return curve === 'P-256' ? 'ec-p256' : 'ec-p384'
}

/** The type of a subject's key, by rules of ours since OpenSSL's are laxer. Whatever is not plainly acceptable is `bad-input`. */
export const inspectPublicKey = (spki: Uint8Array): { type: KeyType } =>
  readingInput('public key', () => {
    const parts = readKeyParts(spki)
    if (parts.algorithm === oid.rsaEncryption) return { type: inspectRsa(parts) }
    if (parts.algorithm === oid.ecPublicKey) return { type: inspectCurve(parts) }
    return refuse(`algorithm ${otherAlgorithms.get(parts.algorithm) ?? parts.algorithm}`)
  })

/** What a key is, for people: `RSA-1024`, `P-521`, `Ed25519`. Never throws. */
export const describeKey = (spki: Uint8Array): string => {
  try {
    const parts = readKeyParts(spki)
    if (parts.algorithm === oid.rsaEncryption) return `RSA-${readRsa(parts).bits}`
    if (parts.algorithm !== oid.ecPublicKey)
      return otherAlgorithms.get(parts.algorithm) ?? `unknown algorithm ${parts.algorithm}`
    if (parts.parameters === null) return 'elliptic curve without parameters'
    const identifier = readObjectIdentifier(expectTag(parts.parameters, tags.objectIdentifier, 'curve'))
    return curves.get(identifier) ?? otherCurves.get(identifier) ?? `elliptic curve ${identifier}`
  } catch (error) {
    return `unreadable key (${messageOf(error)})`
  }
}
