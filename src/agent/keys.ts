import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { buildCsr } from '../protocol/csr.ts'
import { readGeneralNames } from '../protocol/general-names.ts'
import { AgentError, reasonOf } from './error.ts'
import type { KeyType } from './settings.ts'

const generate = (type: KeyType): KeyObject => {
  switch (type) {
    case 'ec-p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    case 'ec-p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    case 'rsa-2048':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    case 'rsa-3072':
      return generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey
  }
}

/** A new private key as PKCS#8 PEM. It goes to a file with mode 0600 and nowhere else. */
export const generateKey = (type: KeyType): string => generate(type).export({ format: 'pem', type: 'pkcs8' }).toString()

export const readKey = (pem: string, path: string): KeyObject => {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw new AgentError('local', `${path} holds no private key that can be read: ${reasonOf(error)}`)
  }
}

const signatureAlgorithm = (key: KeyObject): 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-sha256' => {
  if (key.asymmetricKeyType === 'rsa') return 'rsa-sha256'
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'ecdsa-sha384' : 'ecdsa-sha256'
}

export interface RequestContent {
  key: KeyObject
  /** Name, DER. */
  subject: Uint8Array
  /** GeneralNames, DER; null: none. */
  alternativeNames: Uint8Array | null
}

/** A PKCS#10 request (RFC 2986) in DER, signed with the key itself. */
export const createRequest = ({ key, subject, alternativeNames }: RequestContent): Promise<Uint8Array> => {
  const algorithm = signatureAlgorithm(key)
  const digest = algorithm === 'ecdsa-sha384' ? 'sha384' : 'sha256'
  return buildCsr({
    subject,
    spki: createPublicKey(key).export({ format: 'der', type: 'spki' }),
    san: alternativeNames === null ? undefined : readGeneralNames(alternativeNames),
    signatureAlgorithm: algorithm,
    sign: (bytes) => sign(digest, bytes, key),
  })
}

/** The kind of a key as the settings name it; null: another kind. */
export const keyTypeOf = (key: KeyObject): KeyType | null => {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa')
    return modulusLength === 2048 ? 'rsa-2048' : modulusLength === 3072 ? 'rsa-3072' : null
  if (namedCurve === 'prime256v1') return 'ec-p256'
  return namedCurve === 'secp384r1' ? 'ec-p384' : null
}
