import { readInteger, readOnly, readSmallInteger, readTime, time } from '../protocol/der.ts'
import { oid } from '../protocol/oid.ts'
import type { FormView, Rule } from './lint-view.ts'
import { sameBytes } from './same-bytes.ts'

/** With the longest signature it stays within the 16,384 octets that ALB and CloudFront take of one certificate. */
const maximumOctets = 15_000
const serialOctets = 20
const serialBits = 64

/** What may be in a certificate of ours, and how it must be marked (RFC 5280 §4.2). `either` is another rule's business. */
const criticality = new Map<string, 'critical' | 'not critical' | 'either'>([
  [oid.basicConstraints, 'critical'],
  [oid.keyUsage, 'critical'],
  [oid.subjectAltName, 'either'],
  [oid.subjectKeyIdentifier, 'not critical'],
  [oid.authorityKeyIdentifier, 'not critical'],
  [oid.extKeyUsage, 'not critical'],
  [oid.crlDistributionPoints, 'not critical'],
  [oid.authorityInfoAccess, 'not critical'],
])

const version: Rule<FormView> = ({ version: node }) => {
  const found = node === null ? 1 : readSmallInteger(readOnly(node, 'version')) + 1
  return found === 3 ? null : `v${found}, it must be v3`
}

const size: Rule<FormView> = ({ bytes }) =>
  bytes.length <= maximumOctets ? null : `${bytes.length} octets to be signed, at most ${maximumOctets} are allowed`

const serialPositive: Rule<FormView> = ({ serial }) => {
  const value = readInteger(serial)
  return value > 0n ? null : `${value}, it must be positive`
}

const serialLength: Rule<FormView> = ({ serial }) =>
  serial.content.length <= serialOctets
    ? null
    : `${serial.content.length} octets, at most ${serialOctets} are allowed (RFC 5280 §4.1.2.2)`

const serialEntropy: Rule<FormView> = ({ serial }) => {
  const bits = readInteger(serial).toString(2).length
  return bits >= serialBits ? null : `${bits} bits, at least ${serialBits} are needed so that nobody can guess it`
}

const timeForm: Rule<FormView> = ({ notBefore, notAfter }) =>
  [notBefore, notAfter].every((node) => sameBytes(node.bytes, time(readTime(node))))
    ? null
    : 'years until 2049 must be written as UTCTime and later ones as GeneralizedTime (RFC 5280 §4.1.2.5)'

const uniqueIdentifiers: Rule<FormView> = ({ uniqueIdentifiers: count }) =>
  count === 0 ? null : `${count} unique identifiers, there must be none (RFC 5280 §4.1.2.8)`

const extensionOnce: Rule<FormView> = ({ extensions }) => {
  const ids = extensions.map(({ identifier }) => identifier)
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)
  return twice === undefined ? null : `${twice} occurs more than once (RFC 5280 §4.2)`
}

const extensionKnown: Rule<FormView> = ({ extensions }) => {
  const unknown = extensions.find(({ identifier }) => !criticality.has(identifier))
  return unknown === undefined ? null : `${unknown.identifier} is none that our certificates have`
}

const extensionCriticality: Rule<FormView> = ({ extensions }) => {
  const wrong = extensions.find(({ identifier, critical }) => {
    const wanted = criticality.get(identifier) ?? 'either'
    return wanted !== 'either' && (wanted === 'critical') !== critical
  })
  return wrong === undefined ? null : `${wrong.identifier} must be marked ${criticality.get(wrong.identifier)}`
}

export const formRules: Readonly<Record<string, Rule<FormView>>> = {
  version,
  size,
  'serial positive': serialPositive,
  'serial length': serialLength,
  'serial entropy': serialEntropy,
  'time form': timeForm,
  'unique identifiers': uniqueIdentifiers,
  'extension once': extensionOnce,
  'extension known': extensionKnown,
  'extension criticality': extensionCriticality,
}
