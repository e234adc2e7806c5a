import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { CertificateContent, CertificateExtensions, ParsedCertificate } from '../../src/pki/certificate.ts'
import { certificateToBeSigned } from '../../src/pki/certificate.ts'
import { lintCertificate } from '../../src/pki/lint.ts'
import { serialFromBytes } from '../../src/pki/serial.ts'
import { objectIdentifier, readDer, sequence, set } from '../../src/protocol/der.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { makeAuthority, makeKey } from '../support/certificates.ts'
import { editExtensions, editFields } from './certificate-surgery.ts'
import { day, thisUpdate } from './crl-builders.ts'

export const period = { notBefore: thisUpdate - day, notAfter: thisUpdate + 90 * day }
export const long = { notBefore: thisUpdate - 365 * day, notAfter: thisUpdate + 365 * day }
export const root = makeAuthority({ name: 'Root', key: makeKey('ec-p384'), pathLength: 1, ...long })
export const issuing = makeAuthority({ name: 'Issuing', parent: root, pathLength: 0, ...long })
export const key = makeKey()
export const rsaKey = makeKey('rsa-2048')

type Change = Partial<Omit<CertificateContent, 'extensions'>> & { extensions?: Partial<CertificateExtensions> }

export const leafTbs = ({ extensions, ...change }: Change = {}): Uint8Array =>
  certificateToBeSigned({
    serial: serialFromBytes(randomBytes(16)),
    signatureAlgorithm: 'ecdsa-sha256',
    issuer: issuing.parsed.subject,
    subject: encodeName([
      ['O', 'Example'],
      ['CN', 'device-1'],
    ]),
    ...period,
    spki: key.spki,
    authorityKeyIdentifier: issuing.parsed.subjectKeyIdentifier,
    extensions: {
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['clientAuth'],
      subjectAlternativeName: { dns: ['device-1.example.org'], uri: [], ip: ['192.0.2.1'] },
      crlDistributionPoint: 'http://pki.example.org/crl/issuing/0.crl',
      caIssuers: 'http://pki.example.org/ca/issuing.cer',
      ...extensions,
    },
    ...change,
  })

const authorityExtensions = { keyUsage: ['keyCertSign', 'cRLSign'], extendedKeyUsage: undefined } as const

export const authorityTbs = ({ extensions, ...change }: Change = {}): Uint8Array =>
  leafTbs({
    issuer: root.parsed.subject,
    authorityKeyIdentifier: root.parsed.subjectKeyIdentifier,
    signatureAlgorithm: 'ecdsa-sha384',
    subject: encodeName([['CN', 'Issuing G2']]),
    extensions: {
      ...authorityExtensions,
      authority: { pathLength: 0 },
      subjectAlternativeName: undefined,
      ...extensions,
    },
    ...change,
  })

export const rootTbs = ({ extensions, ...change }: Change = {}): Uint8Array => {
  const name = encodeName([['CN', 'Root G2']])
  return authorityTbs({
    issuer: name,
    subject: name,
    authorityKeyIdentifier: null,
    signatureAlgorithm: 'ecdsa-sha256',
    extensions: {
      authority: { pathLength: null },
      crlDistributionPoint: undefined,
      caIssuers: undefined,
      ...extensions,
    },
    ...change,
  })
}

export const altNames = (names: { dns?: string[]; uri?: string[]; ip?: string[] }): Uint8Array =>
  leafTbs({ extensions: { subjectAlternativeName: { dns: [], uri: [], ip: [], ...names } } })

export const withField = (index: number, field: Uint8Array): Uint8Array =>
  editFields(leafTbs(), (fields) => fields.with(index, field))

/** The leaf with one extension replaced, or left out. */
export const withExtension = (identifier: string, replacement: Uint8Array | null): Uint8Array => {
  const start = objectIdentifier(identifier)
  return editExtensions(leafTbs(), (list) =>
    list.flatMap((extension) => {
      const found = Buffer.compare(readDer(extension).children[0]?.bytes ?? new Uint8Array(0), start) === 0
      return found ? (replacement === null ? [] : [replacement]) : [extension]
    }),
  )
}

export const addExtension = (extension: Uint8Array): Uint8Array =>
  editExtensions(leafTbs(), (list) => [...list, extension])

export const rawName = (identifier: string, value: Uint8Array): Uint8Array =>
  sequence(set(sequence(objectIdentifier(identifier), value)))

export const weakKey = Uint8Array.from(
  generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'der', type: 'spki' }),
)

export const manyNames = Array.from({ length: 101 }, (_, index) => `d${index}.example.org`)

/** By rule, what trips it: a name, the bytes, what the message says, and the issuer where it is not the usual one. */
export type Trips = Record<string, Array<[string, Uint8Array, RegExp, (ParsedCertificate | null)?]>>

/** Tests that each rule of `rules` is tripped by something, and that it is this rule that says so. */
export function testTrips(rules: readonly string[], trips: Trips): void {
  describe('the rule', () => {
    for (const [rule, cases] of Object.entries(trips)) {
      test.each(cases)(`${rule} refuses %s`, (_, tbs, message, issuer = issuing.parsed) => {
        const lint = () => lintCertificate(tbs, issuer)
        expect(lint).toThrow(expect.objectContaining({ code: 'refused', message: expect.stringMatching(message) }))
        expect(lint).toThrow(`lint ${rule}: `)
      })
    }
  })

  test('every rule has something that trips it', () => {
    expect(Object.keys(trips).sort()).toEqual([...rules].sort())
  })
}
