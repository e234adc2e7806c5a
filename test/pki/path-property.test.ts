import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isEverleafError } from '../../src/errors.ts'
import type { ParsedCertificate } from '../../src/pki/certificate.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { validatePath } from '../../src/pki/path.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { day, makeCrl, thisUpdate } from './crl-builders.ts'

const period = { notBefore: thisUpdate - 30 * day, notAfter: thisUpdate + 30 * day }
const root = makeAuthority({ name: 'Root', ...period })
const issuing = makeAuthority({ name: 'Issuing', parent: root, pathLength: 0, ...period })
const leaf = makeLeaf({ issuer: issuing, subject: 'device-1', san: { dns: ['device-1.example.org'] }, ...period })
const crls = [makeCrl(root), makeCrl(issuing)]

const validate = (leafDer: Uint8Array, intermediateDer: Uint8Array): boolean => {
  const read = (der: Uint8Array): ParsedCertificate | null => {
    try {
      return parseCertificate(der)
    } catch (error) {
      if (!isEverleafError(error, 'bad-input')) throw error
      return null
    }
  }
  const [first, second] = [read(leafDer), read(intermediateDer)]
  if (first === null || second === null) return false
  const request = { leaf: first, intermediates: [second], anchors: [root.parsed], crls }
  return validatePath({ ...request, now: thisUpdate, purpose: 'clientAuth' }).ok
}

const flipped = (der: Uint8Array, at: number, flip: number): Uint8Array => der.with(at, (der[at] ?? 0) ^ flip)

test('the sample is good as it is', () => {
  expect(validate(leaf.der, issuing.der)).toBe(true)
})

test('no changed octet of a leaf or an intermediate validates', () => {
  for (const flip of [0x01, 0x20, 0x80]) {
    for (let at = 0; at < leaf.der.length; at += 1)
      expect(validate(flipped(leaf.der, at, flip), issuing.der), `leaf ${at} ^ ${flip}`).toBe(false)
    for (let at = 0; at < issuing.der.length; at += 1)
      expect(validate(leaf.der, flipped(issuing.der, at, flip)), `intermediate ${at} ^ ${flip}`).toBe(false)
  }
})

test('random damage to a leaf never validates and never does anything but refuse', () => {
  const damage = fc.array(fc.tuple(fc.nat(leaf.der.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(damage, (changes) => {
      const der = changes.reduce((bytes, [at, flip]) => flipped(bytes, at, flip), leaf.der)
      expect(validate(der, issuing.der)).toBe(Buffer.compare(der, leaf.der) === 0)
    }),
    { numRuns: 2000 },
  )
})
