import {
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  scrypt,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import { EverleafError } from '../errors.ts'
import type { KeyType } from '../model.ts'
import type { SignatureAlgorithm } from '../pki/signature.ts'
import { integer, objectIdentifier, octetString, sequence } from '../protocol/der.ts'
import { decodePem, encodePem } from '../protocol/pem.ts'
import type { Random } from '../random/random.ts'

const label = 'ENCRYPTED PRIVATE KEY'

/** RFC 8018 appendix A.4, RFC 7914 §7, RFC 8018 appendix B.2.5. */
const identifiers = {
  pbes2: '1.2.840.113549.1.5.13',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256: '2.16.840.1.101.3.4.1.42',
}

/** 16 MiB and some 40 ms a guess; node's own export makes a guess cost 2,048 rounds of SHA-256. */
const cost = { N: 16_384, r: 8, p: 1 }

export const generatePrivateKey = async (type: KeyType): Promise<KeyObject> => {
  const pair = promisify(generateKeyPair)
  const bits = /^rsa-(\d+)$/.exec(type)?.[1]
  if (bits !== undefined) return (await pair('rsa', { modulusLength: Number(bits) })).privateKey
  return (await pair('ec', { namedCurve: type === 'ec-p384' ? 'P-384' : 'P-256' })).privateKey
}

export const spkiOf = (key: KeyObject): Uint8Array =>
  new Uint8Array((key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' }))

/** EncryptedPrivateKeyInfo (RFC 5958 §3) under scrypt and AES-256-CBC, as `openssl pkcs8 -topk8 -scrypt` writes it. */
export const encryptPrivateKey = async (key: KeyObject, passphrase: string, random: Random): Promise<string> => {
  const salt = random.bytes(16)
  const vector = random.bytes(16)
  const derive = promisify<string, Uint8Array, number, typeof cost, Buffer>(scrypt)
  const cipher = createCipheriv('aes-256-cbc', await derive(passphrase, salt, 32, cost), vector)
  const plain = key.export({ type: 'pkcs8', format: 'der' })
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()])
  plain.fill(0)
  const derivation = sequence(
    objectIdentifier(identifiers.scrypt),
    sequence(octetString(salt), integer(cost.N), integer(cost.r), integer(cost.p)),
  )
  const encryption = sequence(objectIdentifier(identifiers.aes256), octetString(vector))
  const algorithm = sequence(objectIdentifier(identifiers.pbes2), sequence(derivation, encryption))
  return encodePem(label, sequence(algorithm, octetString(encrypted)))
}

/** Opens an encrypted PKCS#8 key of any scheme that OpenSSL knows. `configuration`: wrong passphrase, or not encrypted at all. */
export const openPrivateKey = (pem: string, passphrase: string, file: string): KeyObject => {
  if (!pem.includes(`-----BEGIN ${label}-----`))
    throw new EverleafError(
      'configuration',
      `${file} holds no encrypted private key; encrypt it: openssl pkcs8 -topk8 -scrypt -in KEY -out ${file}`,
    )
  try {
    decodePem(pem, label, { maximum: 1 })
  } catch (error) {
    throw new EverleafError('damaged', `${file} is cut off or damaged`, { cause: error })
  }
  try {
    return createPrivateKey({ key: pem, passphrase })
  } catch (error) {
    const message = `${file} does not open with this passphrase; check what authority.passphrase names`
    throw new EverleafError('configuration', message, { cause: error })
  }
}

/** Both run off the main thread. */
export interface SigningKey {
  sign(data: Uint8Array): Promise<Uint8Array>
  verify(data: Uint8Array, signature: Uint8Array): Promise<boolean>
}

/** `spki`: of the certificate, so that a signature by any other key does not verify. */
export const createSigningKey = (
  privateKey: KeyObject,
  spki: Uint8Array,
  algorithm: SignatureAlgorithm,
): SigningKey => {
  const publicKey = createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' })
  const hash = algorithm.slice(algorithm.indexOf('-') + 1)
  return {
    sign: (data) =>
      new Promise((resolve, reject) =>
        sign(hash, data, privateKey, (error, signature) => (error === null ? resolve(signature) : reject(error))),
      ),
    verify: (data, signature) =>
      new Promise((resolve, reject) =>
        verify(hash, data, publicKey, signature, (error, good) => (error === null ? resolve(good) : reject(error))),
      ),
  }
}
