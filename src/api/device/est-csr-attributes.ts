import { isEverleafError } from '../../errors.ts'
import type { KeyType, Profile } from '../../model.ts'
import { integer, objectIdentifier, sequence, set } from '../../protocol/der.ts'
import { estMediaTypes } from '../../protocol/est.ts'
import { oid } from '../../protocol/oid.ts'
import { type DeviceCall, type DeviceRoute, presentedCertificate } from './call.ts'
import { authenticatedClient } from './client.ts'
import { estAnswer } from './est-answer.ts'

/**
 * RFC 7030 §4.5: which keys a request may hold, the preferred one first. Of the profile that the label names or that the
 * caller's certificate is under; for anybody else of all profiles together.
 */
export const csrAttributes: DeviceRoute = {
  method: 'GET',
  handle: async (call) => estAnswer(estMediaTypes.csrAttributes, encodeCsrAttributes(await acceptedKeys(call)), call),
}

const acceptedKeys = async (call: DeviceCall): Promise<readonly KeyType[]> => {
  const { profiles } = call.ports
  if (call.label !== null) return profiles.get(call.label)?.keys ?? []
  const own = await profileOfCaller(call)
  return own?.keys ?? [...new Set([...profiles.values()].flatMap(({ keys }) => keys))]
}

/** Null for anybody whom we do not know: this call is open to all. */
const profileOfCaller = async (call: DeviceCall): Promise<Profile | null> => {
  if (presentedCertificate(call) === null) return null
  try {
    return (await authenticatedClient(call, 'renew')).profile
  } catch (error) {
    if (isEverleafError(error, 'unauthenticated') || isEverleafError(error, 'forbidden')) return null
    throw error
  }
}

const rsa = (bits: number) => ({
  signature: oid.sha256WithRSAEncryption,
  key: sequence(objectIdentifier(oid.rsaEncryption), set(integer(bits))),
})
const elliptic = (curve: string, signature: string) => ({
  signature,
  key: sequence(objectIdentifier(oid.ecPublicKey), set(objectIdentifier(curve))),
})

const attributesOf: Record<KeyType, { signature: string; key: Uint8Array }> = {
  'ec-p256': elliptic(oid.prime256v1, oid.ecdsaWithSHA256),
  'ec-p384': elliptic(oid.secp384r1, oid.ecdsaWithSHA384),
  'rsa-2048': rsa(2048),
  'rsa-3072': rsa(3072),
  'rsa-4096': rsa(4096),
}

/** CsrAttrs (RFC 7030 §4.5.2): for each key type one attribute with its curve or size, and the signature algorithms as plain OIDs. */
export const encodeCsrAttributes = (keys: readonly KeyType[]): Uint8Array => {
  const attributes = keys.map((key) => attributesOf[key])
  const signatures = new Set(attributes.map(({ signature }) => signature))
  return sequence(...attributes.map(({ key }) => key), ...[...signatures].map((each) => objectIdentifier(each)))
}
