import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { EverleafError, messageOf } from '../errors.ts'
import { type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import { decodePem } from '../protocol/pem.ts'
import type { ListenerPair } from './listener.ts'

const maximumChain = 10

export const spkiOf = (key: KeyObject): Uint8Array =>
  new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }))

export const readKey = (pem: string): KeyObject => {
  if (pem.includes('ENCRYPTED'))
    throw new EverleafError('bad-input', 'the key is encrypted, expected one without passphrase')
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw new EverleafError('bad-input', 'not a private key in PEM', { cause: error })
  }
}

/** Reads a pair as a TLS server would. Throws `bad-input` where either is broken or they do not belong together. Returns the leaf. */
export const checkPair = ({ key, chain }: ListenerPair): ParsedCertificate => {
  const spki = spkiOf(readKey(key))
  const leaf = readLeaf(chain)
  if (!sameBytes(spki, leaf.spki))
    throw new EverleafError(
      'bad-input',
      `the key is not that of the certificate ${leaf.subjectText} (serial ${leaf.serial})`,
    )
  try {
    createSecureContext({ key, cert: chain })
  } catch (error) {
    throw new EverleafError('bad-input', `TLS does not take it: ${messageOf(error)}`, { cause: error })
  }
  return leaf
}

const readLeaf = (chain: string): ParsedCertificate => {
  try {
    const [leaf] = decodePem(chain, 'CERTIFICATE', { maximum: maximumChain }).map(parseCertificate)
    if (leaf === undefined) throw new EverleafError('bad-input', 'no certificate')
    return leaf
  } catch (error) {
    throw new EverleafError('bad-input', `certificate chain: ${messageOf(error)}`, { cause: error })
  }
}
