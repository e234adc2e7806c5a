import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { TestKey } from '../support/certificates.ts'
import type { StoryKeys } from './story.ts'

const pemOf = ({ privateKey }: TestKey): string => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

export const writeKeys = (keys: StoryKeys): string =>
  JSON.stringify(Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, pemOf(key)])))

export const readKeys = (text: string): StoryKeys => {
  const keyOf = (pem: string): TestKey => {
    const privateKey = createPrivateKey(pem)
    const publicKey = createPublicKey(pem)
    const spki = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }))
    return { type: 'ec-p256', privateKey, publicKey, spki }
  }
  const pems = JSON.parse(text) as Record<keyof StoryKeys, string>
  const { first, second, stolen, kept } = pems
  return { first: keyOf(first), second: keyOf(second), stolen: keyOf(stolen), kept: keyOf(kept) }
}
