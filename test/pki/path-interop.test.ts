import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { maximumAuthorities } from '../../src/pki/path-build.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { requireTool } from '../support/tools.ts'
import type { PathCase } from './path-builders.ts'
import { now } from './path-builders.ts'
import { chainCases } from './path-chain-cases.ts'
import { crlCases } from './path-crl-cases.ts'

const pathCases: Readonly<Record<string, PathCase>> = { ...chainCases, ...crlCases }

const folder = mkdtempSync(join(tmpdir(), 'everleaf-path-'))
afterAll(() => rmSync(folder, { recursive: true }))

const file = (name: string, label: string, ders: readonly { der: Uint8Array }[]): string => {
  const path = join(folder, name)
  writeFileSync(path, ders.map(({ der }) => encodePem(label, der)).join(''))
  return path
}

/** OpenSSL's first complaint, as [error, depth], or ok. */
function verify({ leaf, intermediates, anchors, crls, purpose = 'clientAuth' }: PathCase): PathCase['openssl'] {
  const { stdout, stderr, status } = spawnSync('openssl', [
    'verify',
    ...['-attime', String(now / 1000)],
    ...['-purpose', purpose === 'clientAuth' ? 'sslclient' : 'sslserver'],
    // Systems differ in their default.
    ...['-auth_level', '0'],
    // It counts neither the leaf nor the anchor.
    ...['-verify_depth', String(maximumAuthorities - 1)],
    ...['-CAfile', file('anchors.pem', 'CERTIFICATE', anchors)],
    ...(intermediates.length === 0 ? [] : ['-untrusted', file('untrusted.pem', 'CERTIFICATE', intermediates)]),
    ...(crls === undefined ? [] : ['-crl_check_all']),
    ...(crls === undefined || crls.length === 0 ? [] : ['-CRLfile', file('crls.pem', 'X509 CRL', crls)]),
    file('leaf.pem', 'CERTIFICATE', [leaf]),
  ])
  const text = `${stdout}${stderr}`
  const complaint = /error (\d+) at (\d+) depth lookup/.exec(text)
  if (complaint !== null) return [Number(complaint[1]), Number(complaint[2])]
  if (status !== 0) throw new Error(text)
  return 'ok'
}

describe.runIf(requireTool('openssl'))('openssl verify', () => {
  for (const [name, one] of Object.entries(pathCases)) {
    const verdict = one.openssl === 'ok' ? 'accepts' : 'refuses'
    test(`${verdict} ${name}${one.differs === undefined ? '' : `, unlike we: ${one.differs}`}`, () => {
      expect(verify(one)).toEqual(one.openssl)
      expect((one.openssl === 'ok') === (one.verdict === 'ok')).toBe(one.differs === undefined)
    })
  }
})
