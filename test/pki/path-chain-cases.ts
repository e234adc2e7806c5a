import { sign } from 'node:crypto'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { bitString, sequence } from '../../src/protocol/der.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { makeKey } from '../support/certificates.ts'
import { editFields } from './certificate-surgery.ts'
import { day } from './crl-builders.ts'
import type { PathCase } from './path-builders.ts'
import {
  authority,
  below,
  chain,
  chainOf,
  future,
  issuing,
  leaf,
  leafOf,
  now,
  past,
  reissue,
  root,
  tampered,
  twin,
  withUnknown,
} from './path-builders.ts'

function loop(): PathCase {
  const keys = { one: makeKey(), two: makeKey() }
  const first = authority('Loop 1', { key: keys.one })
  const second = authority('Loop 2', { key: keys.two, parent: first })
  const firstBySecond = reissue(first, second)
  return {
    leaf: leafOf(second).parsed,
    intermediates: [second.parsed, firstBySecond.parsed],
    anchors: [root.parsed],
    verdict: ['untrusted', 'CN=Loop 1', /one of 1 trust anchors: "CN=Root"$/, /loop that comes back to "CN=Loop 2"/],
    openssl: [20, 2],
  }
}

/** A new root key under the old name: signed by the old root and by itself, which does not count as a CA below it. */
function rollover(): PathCase {
  const old = authority('Rolled', { pathLength: 1 })
  const successor = authority('Rolled', { parent: old })
  const sub = authority('Under new', { parent: successor })
  return {
    leaf: leafOf(sub).parsed,
    intermediates: [sub.parsed, successor.parsed],
    anchors: [old.parsed],
    verdict: 'ok',
    openssl: 'ok',
  }
}

/** A good signature of its kind. */
function withSha1(): PathCase {
  const ecdsaWithSha1 = sequence(fromHex('06072a8648ce3d0401'))
  const tbs = editFields(leaf.parsed.tbs, (fields) => fields.with(2, ecdsaWithSha1))
  const der = sequence(tbs, ecdsaWithSha1, bitString(sign('sha1', tbs, issuing.privateKey)))
  return {
    ...chainOf(leaf, issuing),
    leaf: parseCertificate(der),
    verdict: ['signature', 'CN=device-1', /SHA-256 or longer$/, /^another signature algorithm$/],
    openssl: 'ok',
    differs: 'here it is told to take any algorithm',
  }
}

const notAuthority = { authority: undefined }
const expiredIssuing = authority('Issuing', { parent: root, ...past })
const foreign = authority('Foreign Issuing', { parent: authority('Foreign Root') })
const endOfDay = new RegExp(`not after ${new Date(past.notAfter).toISOString()}`)
const atNow = /^now 2026-06-01T12:00:00.000Z$/

export const chainCases: Readonly<Record<string, PathCase>> = {
  'a good chain': { ...chain(issuing), verdict: 'ok', openssl: 'ok' },
  'a leaf right under the root': { ...chain(root), verdict: 'ok', openssl: 'ok' },
  'four CA certificates': { ...chain(below(3)), verdict: 'ok', openssl: 'ok' },
  'a leaf without extended key usage': { ...chain(issuing, { eku: [] }), verdict: 'ok', openssl: 'ok' },
  'a leaf without a subject': {
    ...chain(issuing, { subject: '', san: { uri: ['urn:device:1'] } }),
    verdict: 'ok',
    openssl: 'ok',
  },
  'an expired twin of the issuer beside the good one': {
    ...chainOf(leaf, issuing),
    intermediates: [reissue(issuing, root, past).parsed, issuing.parsed],
    verdict: 'ok',
    openssl: 'ok',
  },
  'a key rollover certificate, which path lengths do not count': rollover(),

  'an expired leaf': {
    ...chain(issuing, past),
    verdict: ['validity', 'CN=device-1', endOfDay, atNow],
    openssl: [10, 0],
  },
  'a leaf that is not yet valid': {
    ...chain(issuing, future),
    verdict: ['validity', 'CN=device-1', /^not before 2026-06-02T12:00:00.000Z$/, atNow],
    openssl: [9, 0],
  },
  'an expired CA': { ...chain(expiredIssuing), verdict: ['validity', 'CN=Issuing', endOfDay, atNow], openssl: [10, 1] },
  'an expired root': {
    ...chain(authority('Old Root', past)),
    verdict: ['validity', 'CN=Old Root', endOfDay, atNow],
    openssl: [10, 1],
  },
  'an expired leaf within its grace': {
    ...chain(issuing, past),
    grace: now,
    verdict: 'ok',
    openssl: [10, 0],
    differs: 'only we know of the grace',
  },
  'an expired leaf past its grace': {
    ...chain(issuing, past),
    grace: now - 1,
    verdict: ['validity', 'CN=device-1', /in grace until 2026-06-01T11:59:59.999Z/, atNow],
    openssl: [10, 0],
  },
  'a leaf that is not yet valid, in spite of a grace': {
    ...chain(issuing, future),
    grace: now + day,
    verdict: ['validity', 'CN=device-1', /not before/, atNow],
    openssl: [9, 0],
  },
  'an expired CA, in spite of a grace': {
    ...chain(expiredIssuing),
    grace: now + day,
    verdict: ['validity', 'CN=Issuing', endOfDay, atNow],
    openssl: [10, 1],
  },

  'an issuer that is CA:FALSE': {
    ...chain(authority('Issuing', { parent: root, extensions: notAuthority })),
    verdict: ['basicConstraints', 'CN=Issuing', /^CA:TRUE/, /^CA:FALSE$/],
    openssl: [79, 1],
  },
  'a CA as leaf': {
    ...chain(root, { extensions: { authority: { pathLength: null }, keyUsage: ['digitalSignature', 'keyCertSign'] } }),
    verdict: ['basicConstraints', 'CN=device-1', /^CA:FALSE/, /^CA:TRUE$/],
    openssl: 'ok',
    differs: 'OpenSSL has no opinion on it',
  },
  'more CA certificates than a path length allows': {
    ...chain(authority('Below', { parent: issuing })),
    verdict: ['pathLength', 'CN=Issuing', /^at most 0 CA certificates below it$/, /^1$/],
    openssl: [25, 2],
  },
  'an issuer without keyCertSign': {
    ...chain(authority('Issuing', { parent: root, extensions: { keyUsage: ['cRLSign'] } })),
    verdict: ['keyUsage', 'CN=Issuing', /^keyCertSign$/, /^cRLSign$/],
    openssl: [79, 1],
  },
  'a leaf without digitalSignature': {
    ...chain(issuing, { extensions: { keyUsage: ['keyEncipherment'] } }),
    verdict: ['keyUsage', 'CN=device-1', /^digitalSignature$/, /^keyEncipherment$/],
    openssl: [26, 0],
  },
  'a server certificate as client': {
    ...chain(issuing, { eku: ['serverAuth'] }),
    verdict: ['extendedKeyUsage', 'CN=device-1', /^clientAuth$/, /^serverAuth$/],
    openssl: [26, 0],
  },
  'a client certificate as server': {
    ...chain(issuing),
    purpose: 'serverAuth',
    verdict: ['extendedKeyUsage', 'CN=device-1', /^serverAuth$/, /^clientAuth$/],
    openssl: [26, 0],
  },
  'a server certificate as server': {
    ...chain(issuing, { eku: ['serverAuth'] }),
    purpose: 'serverAuth',
    verdict: 'ok',
    openssl: 'ok',
  },
  'an issuer for servers only': {
    ...chain(authority('Issuing', { parent: root, extensions: { extendedKeyUsage: ['serverAuth'] } })),
    verdict: ['extendedKeyUsage', 'CN=Issuing', /^clientAuth$/, /^serverAuth$/],
    openssl: [26, 1],
  },
  'an unknown critical extension in the leaf': {
    ...chainOf(withUnknown(leaf, issuing), issuing),
    verdict: ['unknownCriticalExtension', 'CN=device-1', /no critical extension/, /^1\.3\.6\.1\.4\.1\.99999\.1$/],
    openssl: [34, 0],
  },
  'an unknown critical extension in an issuer': {
    ...chainOf(leaf, issuing),
    intermediates: [withUnknown(issuing, root).parsed],
    verdict: ['unknownCriticalExtension', 'CN=Issuing', /no critical extension/, /99999/],
    openssl: [34, 1],
  },

  'a signature with SHA-1': withSha1(),
  'a tampered signature of the leaf': {
    ...chainOf(leaf, issuing),
    leaf: tampered(leaf),
    verdict: ['signature', 'CN=device-1', /^a signature by "CN=Issuing"$/, /does not verify/],
    openssl: [7, 0],
  },
  'a tampered signature of an issuer': {
    ...chainOf(leaf, issuing),
    intermediates: [tampered(issuing)],
    verdict: ['signature', 'CN=Issuing', /^a signature by "CN=Root"$/, /does not verify/],
    openssl: [7, 1],
  },
  'a CA of the same name with another key': {
    ...chainOf(leafOf(twin), root),
    verdict: [
      'signature',
      'CN=device-1',
      /^a signature by "CN=Root" with key [0-9a-f]{40}$/,
      /that name with key [0-9a-f]{40}$/,
    ],
    openssl: [20, 0],
  },
  'a CA of the same name with another key, and no key identifier in the leaf': {
    ...chainOf(leafOf(twin, { content: { authorityKeyIdentifier: null } }), root),
    verdict: ['signature', 'CN=device-1', /^a signature by "CN=Root"$/, /does not verify/],
    openssl: [7, 0],
  },
  'another issuer name than that of the key': {
    ...chain(issuing, { content: { issuer: encodeName([['CN', 'Somebody']]) } }),
    verdict: ['nameChaining', 'CN=device-1', /^issuer name "CN=Issuing"/, /^issuer name "CN=Somebody"$/],
    openssl: [20, 0],
  },
  'five CA certificates': {
    ...chain(below(4)),
    verdict: ['depth', 'CN=Level 1', /^at most 4 CA certificates/, /^more$/],
    openssl: [22, 4],
  },
  'a foreign root': {
    ...chain(foreign),
    anchors: [root.parsed],
    intermediates: foreign.chain,
    verdict: [
      'untrusted',
      'CN=Foreign Root',
      /one of 1 trust anchors: "CN=Root"$/,
      /self-signed certificate that is none of them/,
    ],
    openssl: [19, 2],
  },
  'a foreign root that stays at home': {
    ...chain(foreign),
    anchors: [root.parsed],
    verdict: ['untrusted', 'CN=Foreign Issuing', /trust anchors/, /^no certificate of its issuer "CN=Foreign Root"$/],
    openssl: [20, 1],
  },
  'a missing intermediate': {
    ...chainOf(leaf, issuing),
    intermediates: [],
    verdict: ['untrusted', 'CN=device-1', /trust anchors/, /^no certificate of its issuer "CN=Issuing"$/],
    openssl: [20, 0],
  },
  'an issuer that is unknown to each of five anchors': {
    ...chainOf(leaf, issuing),
    intermediates: [],
    anchors: ['V', 'W', 'X', 'Y', 'Z'].map((name) => authority(name).parsed),
    verdict: ['untrusted', 'CN=device-1', /"CN=V", "CN=W", "CN=X" and 2 more$/, /"CN=Issuing"$/],
    openssl: [20, 0],
  },
  'two dead ends, of which the longer is told': {
    ...chain(foreign, { content: { authorityKeyIdentifier: null } }),
    intermediates: [authority('Foreign Issuing').parsed, foreign.parsed],
    anchors: [root.parsed],
    verdict: ['untrusted', 'CN=Foreign Issuing', /trust anchors/, /"CN=Foreign Root"$/],
    openssl: [19, 1],
  },
  'two faulty chains, of which the better is told': {
    ...chainOf(leaf, issuing),
    intermediates: [reissue(issuing, root, { extensions: notAuthority }).parsed, reissue(issuing, root, past).parsed],
    verdict: ['validity', 'CN=Issuing', endOfDay, atNow],
    openssl: [79, 1],
  },
  'a self-signed leaf': {
    ...chainOf(authority('Lonely', { extensions: notAuthority }), root),
    verdict: ['untrusted', 'CN=Lonely', /trust anchors/, /self-signed/],
    openssl: [18, 0],
  },
  'a loop': loop(),
}
