import { describe, expect, test } from 'vitest'
import type { RevocationReason } from '../../src/model.ts'
import type { CrlEntry } from '../../src/pki/crl.ts'
import { crlToBeSigned, findCrlEntry, largestCrlNumber, parseCrl, verifyCrl } from '../../src/pki/crl.ts'
import { revocationReasons } from '../../src/pki/revocation-reasons.ts'
import { algorithmIdentifier } from '../../src/pki/signature.ts'
import { readDer, sequence } from '../../src/protocol/der.ts'
import { fromHex, toHex } from '../../src/protocol/hex.ts'
import { makeAuthority, makeKey } from '../support/certificates.ts'
import { crlContent, day, makeCrl, thisUpdate } from './crl-builders.ts'

const period = { notBefore: thisUpdate - 365 * day, notAfter: thisUpdate + 365 * day }
const authority = makeAuthority({ name: 'Issuing G1', ...period })

const entry = (serial: string, change: Partial<CrlEntry> = {}): CrlEntry => ({
  serial,
  revokedAt: thisUpdate - day,
  reason: 'unspecified',
  ...change,
})

describe('a CRL that was written', () => {
  test('is read back with every field', () => {
    const entries = revocationReasons.map((reason, index) =>
      entry(`4${index}ff`, { reason, revokedAt: thisUpdate - index * day }),
    )
    const crl = makeCrl(authority, { entries, number: 17n })
    expect([...crl.entries()]).toEqual(entries)
    expect(crl).toMatchObject({
      number: 17n,
      thisUpdate,
      nextUpdate: thisUpdate + 7 * day,
      issuerText: 'CN=Issuing G1',
      entryCount: 8,
      signatureAlgorithm: 'ecdsa-sha256',
      unknownCritical: [],
    })
    expect(crl.issuer).toEqual(authority.parsed.subject)
    expect(crl.authorityKeyIdentifier).toEqual(authority.parsed.subjectKeyIdentifier)
  })

  test('has no list of revoked certificates when nothing is revoked', () => {
    const crl = makeCrl(authority)
    expect(crl.entryCount).toBe(0)
    expect([...crl.entries()]).toEqual([])
    expect(readDer(crl.tbs).children).toHaveLength(6)
  })

  test('has no reason extension for an unspecified reason, and 14 octets for any other', () => {
    const size = (reason: RevocationReason) => makeCrl(authority, { entries: [entry('40', { reason })] }).tbs.length
    expect(size('superseded') - size('unspecified')).toBe(14)
  })

  test('keeps serials with a high first bit positive', () => {
    const serials = ['80', 'ff00ff', `7f${'ff'.repeat(19)}`, '01']
    const crl = makeCrl(authority, { entries: serials.map((serial) => entry(serial)) })
    expect([...crl.entries()].map(({ serial }) => serial)).toEqual(serials)
    expect(toHex(crl.entryBytes.subarray(0, 6))).toBe('301302020080')
  })

  test('truncates instants to whole seconds', () => {
    const crl = makeCrl(authority, {
      thisUpdate: thisUpdate + 999,
      nextUpdate: thisUpdate + 5999,
      entries: [entry('40', { revokedAt: thisUpdate - 1 })],
    })
    expect([crl.thisUpdate, crl.nextUpdate]).toEqual([thisUpdate, thisUpdate + 5000])
    expect([...crl.entries()][0]?.revokedAt).toBe(thisUpdate - 1000)
  })

  test.each([1950, 1999, 2000, 2049, 2050, 9999])(
    'writes a revocation of the year %i in the right time type',
    (year) => {
      const revokedAt = Date.UTC(year, 1, 28, 23, 59, 59)
      const crl = makeCrl(authority, { entries: [entry('40', { revokedAt })] })
      expect([...crl.entries()][0]?.revokedAt).toBe(revokedAt)
      expect(crl.entryBytes[5]).toBe(year < 2050 ? 0x17 : 0x18)
    },
  )

  test('reads entries from any iterable, once', () => {
    function* entries() {
      yield entry('41')
      yield entry('42')
    }
    expect(makeCrl(authority, { entries: entries() }).entryCount).toBe(2)
  })

  test('is the same over chunk boundaries', () => {
    const entries = Array.from({ length: 20_000 }, (_, index) =>
      entry((0x4000_0000 + index).toString(16), { reason: revocationReasons[index % 8] ?? 'unspecified' }),
    )
    const crl = makeCrl(authority, { entries })
    expect([...crl.entries()]).toEqual(entries)
    expect(crl.ascending).toBe(true)
  })
})

test('a CRL of 200,000 entries is written and read in time that is linear in them', () => {
  function* entries() {
    for (let index = 0; index < 200_000; index += 1) yield entry((0x1000_0000 + index).toString(16).padStart(32, '4'))
  }
  const started = performance.now()
  const crl = makeCrl(authority, { entries: entries() })
  expect(crl.entryCount).toBe(200_000)
  // Some 0.2 s on a quiet machine; an encoder that copies what it has at each entry takes minutes.
  expect(performance.now() - started).toBeLessThan(5000)
})

describe('a CRL is not written', () => {
  test.each([
    ['a number of zero', { number: 0n }, /number 0/],
    ['a negative number', { number: -5n }, /number -5/],
    ['a number of 21 octets', { number: largestCrlNumber + 1n }, /20 octets/],
    [
      'a next update before this update',
      { nextUpdate: thisUpdate - 1 },
      /next update 2026-06-01T11:59:59.999Z must be later/,
    ],
    ['a next update within the second of this update', { nextUpdate: thisUpdate + 999 }, /must be later/],
    ['a next update after the year 9999', { nextUpdate: Date.UTC(10_000, 0, 1) }, /years 1970 to 9999/],
    ['a this update before 1970', { thisUpdate: -1 }, /thisUpdate -1/],
    ['an instant that is none', { nextUpdate: Number.NaN }, /nextUpdate NaN/],
    ['an upper-case serial', { entries: [entry('4F')] }, /lower-case/],
    ['half an octet of serial', { entries: [entry('4')] }, /0.5 octets/],
    ['an empty serial', { entries: [entry('')] }, /0 octets/],
    ['a serial with leading zeros', { entries: [entry('0040')] }, /leading 00/],
    ['a serial of 21 octets', { entries: [entry('40'.repeat(21))] }, /21 octets/],
    ['a serial of 20 octets and a sign octet', { entries: [entry('ff'.repeat(20))] }, /sign octet/],
    ['a serial beyond ASCII', { entries: [entry('4\u{142}')] }, /lower-case/],
    ['a revocation date that is none', { entries: [entry('40', { revokedAt: Number.NaN })] }, /NaN/],
    [
      'a revocation before 1950',
      { entries: [entry('40', { revokedAt: Date.UTC(1949, 11, 31) })] },
      /years 1950 to 9999/,
    ],
    [
      'a revocation after 9999',
      { entries: [entry('40', { revokedAt: Date.UTC(10_000, 0, 1) })] },
      /years 1950 to 9999/,
    ],
    ['a reason that is none', { entries: [entry('40', { reason: 'boredom' as RevocationReason })] }, /boredom/],
  ])('with %s', (_, content, message) => {
    const write = () => crlToBeSigned(crlContent(authority, content))
    expect(write).toThrow(expect.objectContaining({ code: 'refused', message: expect.stringMatching(message) }))
  })

  test('unless its number has 20 octets at most', () => {
    expect(makeCrl(authority, { number: largestCrlNumber }).number).toBe(largestCrlNumber)
  })
})

test('an entry is found by its serial among many', () => {
  const entries = ['40', '8000', '4040', '404041'].map((serial, index) =>
    entry(serial, { reason: revocationReasons[index] ?? 'unspecified' }),
  )
  const crl = makeCrl(authority, { entries })
  for (const one of entries) expect(findCrlEntry(crl, one.serial)).toEqual(one)
  expect(findCrlEntry(crl, '4041')).toBeNull()
  expect(findCrlEntry(crl, '80')).toBeNull()
})

describe('verification', () => {
  const crl = makeCrl(authority, { entries: [entry('40')] })

  test('succeeds with the issuer', () => {
    expect(verifyCrl(crl, authority.parsed)).toBe(true)
  })

  test.each(['ec-p384', 'rsa-2048'] as const)('succeeds under an %s key', (type) => {
    const other = makeAuthority({ name: type, key: makeKey(type), ...period })
    expect(verifyCrl(makeCrl(other), other.parsed)).toBe(true)
  })

  test('fails with an authority of the same name and another key', () => {
    const twin = makeAuthority({ name: 'Issuing G1', ...period })
    expect(verifyCrl(crl, twin.parsed)).toBe(false)
    expect(verifyCrl(crl, { ...twin.parsed, subjectKeyIdentifier: null })).toBe(false)
  })

  test('fails when the key identifiers differ', () => {
    expect(verifyCrl(crl, { ...authority.parsed, subjectKeyIdentifier: new Uint8Array(20) })).toBe(false)
  })

  test('fails with an authority of another name and the same key', () => {
    expect(verifyCrl(crl, makeAuthority({ name: 'Issuing G2', key: authority.key, ...period }).parsed)).toBe(false)
  })

  test('fails with an issuer that may not sign CRLs or is none', () => {
    const extensions = { keyUsage: ['keyCertSign'] } as const
    const mute = makeAuthority({ name: 'Issuing G1', key: authority.key, extensions, ...period })
    expect(verifyCrl(crl, mute.parsed)).toBe(false)
    expect(verifyCrl(crl, { ...authority.parsed, authority: null })).toBe(false)
  })

  test('fails when an octet of what was signed is another', () => {
    const changed = { ...crl, tbs: Uint8Array.from(crl.tbs, (octet, index) => (index === 30 ? octet ^ 1 : octet)) }
    expect(verifyCrl(changed, authority.parsed)).toBe(false)
  })

  test('fails with an algorithm that is not known', () => {
    const tbs = crlToBeSigned(crlContent(authority))
    const unknown = sequence(fromHex('06092a864886f70d010105'))
    const known = algorithmIdentifier('ecdsa-sha256')
    const swap = (bytes: Uint8Array) => fromHex(toHex(bytes).replace(toHex(known), toHex(unknown)))
    const inner = readDer(tbs).children.map(({ bytes }) => bytes)
    const der = sequence(
      sequence(...inner.map((bytes) => (toHex(bytes) === toHex(known) ? swap(bytes) : bytes))),
      unknown,
      fromHex('03020000'),
    )
    const parsed = parseCrl(der)
    expect(parsed.signatureAlgorithm).toBeNull()
    expect(verifyCrl(parsed, authority.parsed)).toBe(false)
  })
})
