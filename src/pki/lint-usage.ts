import type { KeyUsage } from './certificate.ts'
import { keyIdentifier } from './certificate.ts'
import { inspectPublicKey } from './key.ts'
import type { ContentView, Rule } from './lint-view.ts'
import { sameBytes } from './same-bytes.ts'

const validityOrder: Rule<ContentView> = ({ certificate: { notBefore, notAfter } }) =>
  notBefore < notAfter
    ? null
    : `not before ${new Date(notBefore).toISOString()} must be earlier than not after ${new Date(notAfter).toISOString()}`

/** `inspectPublicKey` throws at a weak or odd key; the runner turns that into a refusal of this rule. */
const keyStrength: Rule<ContentView> = ({ certificate: { spki } }) => {
  inspectPublicKey(spki)
  return null
}

const subjectKeyIdentifier: Rule<ContentView> = ({ certificate: { spki, subjectKeyIdentifier: found } }) => {
  if (found === null) return 'it is missing'
  return sameBytes(found, keyIdentifier(spki)) ? null : 'it is not the SHA-1 of the key (RFC 5280 §4.2.1.2)'
}

const basicConstraints: Rule<ContentView> = ({ certificate: { authority }, kind }) =>
  kind === 'root' && authority === null ? 'a self-signed certificate must be CA:TRUE, only roots are made so' : null

const authorityUsages: readonly KeyUsage[] = ['digitalSignature', 'keyCertSign', 'cRLSign']

const keyUsage: Rule<ContentView> = ({ certificate: { keyUsage: usages, spki }, kind }) => {
  if (usages === null) return 'it is missing'
  const needed: readonly KeyUsage[] = kind === 'leaf' ? ['digitalSignature'] : ['keyCertSign', 'cRLSign']
  const allowed: readonly KeyUsage[] =
    kind !== 'leaf'
      ? authorityUsages
      : // Key transport is a use of RSA alone (RFC 5480 §3).
        inspectPublicKey(spki).type.startsWith('rsa-')
        ? ['digitalSignature', 'keyEncipherment']
        : ['digitalSignature']
  const missing = needed.find((usage) => !usages.includes(usage))
  const excess = usages.find((usage) => !allowed.includes(usage))
  if (missing !== undefined) return `${missing} is missing, every ${kind} needs it`
  return excess === undefined ? null : `${excess} is not for a ${kind} with such a key`
}

const extendedKeyUsage: Rule<ContentView> = ({ certificate: { extendedKeyUsage: usages }, kind }) => {
  if (usages === null) return kind === 'leaf' ? 'it is missing, a leaf needs clientAuth or serverAuth' : null
  const excess = usages.find((usage) => usage !== 'clientAuth' && usage !== 'serverAuth')
  return excess === undefined ? null : `${excess}, only clientAuth and serverAuth are issued`
}

export const usageRules: Readonly<Record<string, Rule<ContentView>>> = {
  'validity order': validityOrder,
  'key strength': keyStrength,
  'subject key identifier': subjectKeyIdentifier,
  'basic constraints': basicConstraints,
  'key usage': keyUsage,
  'extended key usage': extendedKeyUsage,
}
