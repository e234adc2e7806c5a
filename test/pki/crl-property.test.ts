import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isEverleafError } from '../../src/errors.ts'
import type { CrlEntry, ParsedCrl } from '../../src/pki/crl.ts'
import { findCrlEntry, parseCrl, verifyCrl } from '../../src/pki/crl.ts'
import { findDuplicate } from '../../src/pki/crl-scan.ts'
import { revocationReasons } from '../../src/pki/revocation-reasons.ts'
import { makeAuthority } from '../support/certificates.ts'
import { day, makeCrl, thisUpdate } from './crl-builders.ts'

const authority = makeAuthority({ name: 'CA', notBefore: thisUpdate - day, notAfter: thisUpdate + 365 * day })

const reason = fc.constantFrom(...revocationReasons)

const serial = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .filter(([first = 0, ...rest]) => first > 0 && (first < 0x80 || rest.length < 19))
  .map((octets) => Buffer.from(octets).toString('hex'))

const seconds = fc.integer({ min: Date.UTC(1950, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 })

const entry: fc.Arbitrary<CrlEntry> = fc.record({ serial, revokedAt: seconds.map((second) => second * 1000), reason })

const entries = fc.uniqueArray(entry, { selector: (one) => one.serial, maxLength: 60 })

test('any set of entries comes back as it went in, each can be found, and no duplicate is seen', () => {
  fc.assert(
    fc.property(entries, fc.bigInt({ min: 1n, max: 2n ** 159n - 1n }), (list, number) => {
      const crl = makeCrl(authority, { entries: list, number })
      expect([...crl.entries()]).toEqual(list)
      expect(crl.entryCount).toBe(list.length)
      expect(crl.number).toBe(number)
      expect(verifyCrl(crl, authority.parsed)).toBe(true)
      expect(findDuplicate(crl.entryBytes, crl.entryCount)).toBeNull()
      for (const one of list) expect(findCrlEntry(crl, one.serial)).toEqual(one)
    }),
    { numRuns: 200 },
  )
})

test('a serial that occurs twice is always seen', () => {
  fc.assert(
    fc.property(entries, entry, fc.nat(), fc.nat(), (list, twice, first, second) => {
      const others = list.filter((one) => one.serial !== twice.serial)
      const doubled = others.toSpliced(first % (others.length + 1), 0, twice)
      const crl = makeCrl(authority, { entries: doubled.toSpliced(second % (doubled.length + 1), 0, twice) })
      expect(findDuplicate(crl.entryBytes, crl.entryCount)).toBe(twice.serial)
      expect(crl.ascending).toBe(false)
    }),
    { numRuns: 200 },
  )
})

/** What can be read of a damaged CRL is read to the end; anything but a clear refusal fails the test. */
function readDamaged(der: Uint8Array): ParsedCrl | null {
  try {
    const crl = parseCrl(der)
    expect([...crl.entries()]).toHaveLength(crl.entryCount)
    return crl
  } catch (error) {
    if (!isEverleafError(error, 'bad-input')) throw error
    return null
  }
}

const sample = makeCrl(authority, {
  entries: [
    { serial: '4011', revokedAt: thisUpdate - day, reason: 'keyCompromise' },
    { serial: 'ff12', revokedAt: Date.UTC(2055, 1, 2), reason: 'unspecified' },
  ],
})

test('every single changed octet is refused clearly or fails verification', () => {
  for (let at = 0; at < sample.der.length; at += 1) {
    for (const flip of [0x01, 0x02, 0x10, 0x20, 0x80, 0xff]) {
      const der = Uint8Array.from(sample.der, (octet, index) => (index === at ? octet ^ flip : octet))
      const crl = readDamaged(der)
      if (crl !== null) expect(verifyCrl(crl, authority.parsed), `octet ${at} ^ ${flip}`).toBe(false)
    }
  }
})

test('every truncation is refused', () => {
  for (let length = 0; length < sample.der.length; length += 1)
    expect(readDamaged(sample.der.subarray(0, length))).toBeNull()
})

test('random damage never does anything but refuse', () => {
  const damage = fc.array(fc.tuple(fc.nat(sample.der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(damage, (changes) => {
      const der = Uint8Array.from(sample.der)
      for (const [at, octet] of changes) der[at] = octet
      readDamaged(der)
    }),
    { numRuns: 3000 },
  )
})

test('random octets are refused', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => readDamaged(octets) === null))
})
