import { describe, expect, test } from 'vitest'
import { validatePath } from '../../src/pki/path.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { day } from './crl-builders.ts'
import type { PathCase } from './path-builders.ts'
import { now } from './path-builders.ts'
import { chainCases } from './path-chain-cases.ts'
import { crlCases } from './path-crl-cases.ts'

const pathCases: Readonly<Record<string, PathCase>> = { ...chainCases, ...crlCases }

const validate = ({ leaf, intermediates, anchors, crls, grace, purpose = 'clientAuth' }: PathCase, at = now) =>
  validatePath({ leaf, intermediates, anchors, crls, purpose, now: at, allowExpiredLeafUntil: grace })

describe('path validation', () => {
  for (const [name, one] of Object.entries(pathCases)) {
    if (one.verdict === 'ok') {
      test(`accepts ${name}`, () => {
        const result = validate(one)
        expect(result).toMatchObject({ ok: true })
        if (!result.ok) return
        expect(result.path[0]).toBe(one.leaf)
        expect(one.anchors).toContain(result.path.at(-1))
      })
      continue
    }
    const [check, certificate, expected, actual] = one.verdict
    test(`refuses ${name}: ${check}`, () => {
      expect(validate(one)).toEqual({
        ok: false,
        check,
        certificate,
        expected: expect.stringMatching(expected),
        actual: expect.stringMatching(actual),
        message: expect.stringContaining(`certificate "${certificate}" fails ${check}: expected `),
      })
    })
  }

  test('does not depend on the order of intermediates and anchors', () => {
    for (const one of Object.values(pathCases)) {
      const turned = { ...one, intermediates: one.intermediates.toReversed(), anchors: one.anchors.toReversed() }
      const [there, back] = [validate(one), validate(turned)].map((result) =>
        result.ok ? 'ok' : `${result.check} ${result.certificate}`,
      )
      expect(back).toBe(there)
    }
  })

  test('refuses a leaf for its own faults whatever is sent along with it', () => {
    const all = Object.values(pathCases).flatMap(({ intermediates, anchors }) => [...intermediates, ...anchors])
    for (const [name, one] of Object.entries(pathCases)) {
      if (one.verdict === 'ok' || one.verdict[0] === 'untrusted' || one.verdict[1] !== 'CN=device-1') continue
      expect(validate({ ...one, intermediates: [...all, ...one.intermediates] }).ok, name).toBe(false)
    }
  })

  test('holds from the first instant to the last second of the validity', () => {
    const notBefore = now - day
    const notAfter = now + day
    const root = makeAuthority({ name: 'Root', notBefore: notBefore - day, notAfter: notAfter + day })
    const leaf = makeLeaf({ issuer: root, subject: 'device-1', notBefore, notAfter })
    const one: PathCase = { leaf: leaf.parsed, intermediates: [], anchors: [root.parsed], verdict: 'ok', openssl: 'ok' }
    expect([notBefore - 1, notBefore, notAfter, notAfter + 1].map((at) => validate(one, at).ok)).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  test('ends soon in a mesh of cross-certificates', () => {
    const period = { notBefore: now - day, notAfter: now + day }
    const names = ['A', 'B', 'C', 'D', 'E', 'F']
    const authorities = names.map((name) => makeAuthority({ name, ...period }))
    const mesh = authorities.flatMap((parent) =>
      authorities
        .filter((child) => child !== parent)
        .flatMap((child) =>
          [1, 2, 3].map(() => makeAuthority({ name: child.name, key: child.key, parent, ...period })),
        ),
    )
    const [first] = authorities
    if (first === undefined) throw new Error('no authority')
    const started = performance.now()
    const result = validatePath({
      leaf: makeLeaf({ issuer: first, subject: 'device-1', ...period }).parsed,
      intermediates: mesh.map(({ parsed }) => parsed),
      anchors: [makeAuthority({ name: 'Root', ...period }).parsed],
      now,
      purpose: 'clientAuth',
    })
    expect(result).toMatchObject({ ok: false })
    expect(performance.now() - started).toBeLessThan(2000)
  })

  test('without any anchor trusts nobody', () => {
    const one = pathCases['a good chain']
    if (one === undefined) throw new Error('no such case')
    expect(validate({ ...one, anchors: [] })).toMatchObject({ ok: false, check: 'untrusted' })
  })

  test('does not take a leaf for its own anchor', () => {
    const one = pathCases['a good chain']
    if (one === undefined) throw new Error('no such case')
    expect(validate({ ...one, anchors: [one.leaf] })).toMatchObject({ ok: false, check: 'untrusted' })
  })
})
