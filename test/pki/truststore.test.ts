import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { isEverleafError } from '../../src/errors.ts'
import {
  checkTruststoreLimits,
  encodeCrlBundle,
  encodeTruststore,
  parseCrlBundle,
  parseTruststore,
} from '../../src/pki/truststore.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'
import { day, makeCrl, thisUpdate } from './crl-builders.ts'

const period = { notBefore: thisUpdate - day, notAfter: thisUpdate + 3650 * day }
const root = makeAuthority({ name: 'Root G1', attributes: [['O', 'Example-Works']], ...period })
const issuing = makeAuthority({ name: 'issuing-g1', parent: root, ...period })
const partner = makeAuthority({ name: 'Pärtner – Ltd', ...period })
const certificates = [root.parsed, issuing.parsed, partner.parsed]
const pem = encodeTruststore(certificates, ['Everleaf truststore 7', 'made on 2026-06-01'])

describe('a truststore', () => {
  test('comes back as it went in', () => {
    expect(parseTruststore(pem)).toEqual(certificates)
  })

  test('is in the form that ALB and CloudFront ask for', () => {
    expect(pem.endsWith('-----END CERTIFICATE-----\n')).toBe(true)
    expect(pem).not.toMatch(/\r|\n\n|[^ -~\n]/)
    const comments = pem
      .split('\n')
      .filter((line) => !/^(-----(BEGIN|END) CERTIFICATE-----|[A-Za-z0-9+/=]{1,64}|)$/.test(line))
    expect(comments).toEqual([
      '# Everleaf truststore 7',
      '# made on 2026_06_01',
      '# CN=Root G1,O=Example_Works',
      '# CN=issuing_g1',
      '# CN=P?rtner ? Ltd',
    ])
  })

  test('is the same bytes each time', () => {
    expect(encodeTruststore(certificates, ['Everleaf truststore 7', 'made on 2026-06-01'])).toBe(pem)
  })

  test('keeps any comment on its line', () => {
    const text = encodeTruststore([root.parsed], ['a\n-----BEGIN CERTIFICATE-----\r\nb\u2028\u0000'])
    expect(text.split('\n')[0]).toBe('# a?_____BEGIN CERTIFICATE_____??b??')
    expect(parseTruststore(text)).toEqual([root.parsed])
  })

  test.each([
    ['nothing', [], /no certificates/],
    ['one certificate twice', [root.parsed, root.parsed], /two certificates of "CN=Root G1,O=Example-Works"/],
    [
      'a new key under an old subject',
      [root.parsed, makeAuthority({ name: 'Root G1', attributes: [['O', 'Example-Works']], ...period }).parsed],
      /each subject must be unique/,
    ],
    [
      'an intermediate without its root',
      [partner.parsed, issuing.parsed],
      /"CN=issuing-g1" is there without its issuer "CN=Root G1,O=Example-Works"/,
    ],
  ])('is not made of %s', (_, list, message) => {
    expect(() => encodeTruststore(list)).toThrow(
      expect.objectContaining({ code: 'refused', message: expect.stringMatching(message) }),
    )
  })
})

describe('the strict reader', () => {
  const lines = pem.split('\n')
  const insert = (at: number, line: string): string => lines.toSpliced(at, 0, line).join('\n')
  const partnerPem = encodePem('CERTIFICATE', partner.der)
  const leafPem = makeLeaf({ issuer: root, subject: 'device', ...period }).pem

  test.each([
    ['nothing', '', /no end/],
    ['a comment alone', '# nothing\n', /no block/],
    ['a blank line at the start', insert(0, ''), /line 1 is blank/],
    ['a blank line between certificates', pem.replace('# CN=issuing', '\n# CN=issuing'), /is blank/],
    ['a blank line inside a certificate', insert(6, ''), /line 7 is blank/],
    ['a blank line at the end', `${pem}\n`, /is blank/],
    ['a line of spaces', insert(2, '  '), /line 3 is blank/],
    ['CRLF', pem.replaceAll('\n', '\r\n'), /CR/],
    ['text that is no comment', insert(2, 'CN=Root'), /line 3 is neither/],
    ['text after a certificate', `${pem}and so on\n`, /is neither/],
    ['a dash in a comment after a certificate', `${pem}# a-b\n`, /is neither/],
    ['a dash in a comment', insert(2, '# 2026-06-01'), /line 3 is neither/],
    ['an umlaut in a comment', insert(2, '# ä'), /line 3 has a character/],
    ['a byte order mark', `\u{feff}${pem}`, /line 1 has a character/],
    ['a line end that is missing', pem.slice(0, -1), /no end/],
    ['a last certificate that is cut off', `${lines.slice(0, -4).join('\n')}\n`, /cut off/],
    ['a certificate cut off in the middle', lines.toSpliced(8, 3).join('\n'), /./],
    ['a block inside a block', insert(7, '-----BEGIN CERTIFICATE-----'), /./],
    ['a private key', `${pem}${encodePem('PRIVATE KEY', root.der)}`, /PRIVATE KEY/],
    ['a CRL', `${pem}${encodePem('X509 CRL', makeCrl(root).der)}`, /X509 CRL/],
    ['a certificate twice', `${pem}${partnerPem}`, /two certificates of/],
    ['a chain without its root', issuing.pem, /without its issuer/],
    ['damaged base64', pem.replace(/^M/m, '!'), /./],
    ['too much', `# ${'x'.repeat(17 * 1024 * 1024)}\n${pem}`, /at most/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseTruststore(text)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(message) }),
    )
  })

  test('takes a leaf whose issuer is there, as partner certificates may be', () => {
    expect(parseTruststore(`${root.pem}${leafPem}`)).toHaveLength(2)
  })

  test('reads all of it or nothing, however it is cut', () => {
    for (let length = 0; length < pem.length; length += 1) {
      const read = (() => {
        try {
          return parseTruststore(pem.slice(0, length)).length
        } catch (error) {
          if (!isEverleafError(error, 'bad-input')) throw error
          return 0
        }
      })()
      // A cut between two certificates leaves a whole, shorter bundle; the manifest's count and digest tell that one.
      if (read > 0) expect(pem.slice(0, length)).toMatch(/-----END CERTIFICATE-----\n(#.*\n)*$/)
    }
  })

  test('does nothing but refuse, whatever is in the text', () => {
    const change = fc.tuple(fc.nat(pem.length), fc.nat(3), fc.string({ maxLength: 3 }))
    fc.assert(
      fc.property(change, ([at, drop, text]) => {
        try {
          parseTruststore(pem.slice(0, at) + text + pem.slice(at + drop))
        } catch (error) {
          if (!isEverleafError(error, 'bad-input')) throw error
        }
      }),
      { numRuns: 1000 },
    )
  })
})

test('limits of a gateway are counted in certificates and bytes', () => {
  const size = Buffer.byteLength(pem)
  const check = (truststoreCertificates: number | null, truststoreBytes: number | null) =>
    checkTruststoreLimits(pem, certificates, { truststoreCertificates, truststoreBytes })
  expect(check(null, null)).toEqual([])
  expect(check(3, size)).toEqual([])
  expect(check(2, null)).toEqual(['3 certificates, the gateway takes 2'])
  expect(check(null, size - 1)).toEqual([`${size} bytes, the gateway takes ${size - 1}`])
  expect(check(2, 1)).toHaveLength(2)
})

describe('a CRL bundle', () => {
  const crls = [
    makeCrl(root),
    makeCrl(issuing, { entries: [{ serial: '40', revokedAt: thisUpdate, reason: 'superseded' }] }),
  ]
  const bundle = encodeCrlBundle(crls.map(({ der }) => der))

  test('comes back as it went in, without blank lines', () => {
    expect(parseCrlBundle(bundle).map(({ der }) => der)).toEqual(crls.map(({ der }) => der))
    expect(bundle).not.toMatch(/\r|\n\n/)
  })

  test('is not made of nothing', () => {
    expect(() => encodeCrlBundle([])).toThrow(expect.objectContaining({ code: 'refused' }))
  })

  test.each([
    ['cut off', bundle.slice(0, -30)],
    ['of certificates', pem],
    ['of nothing', ''],
    ['of damaged CRLs', encodePem('X509 CRL', root.der)],
  ])('is refused when it is %s', (_, text) => {
    expect(() => parseCrlBundle(text)).toThrow(expect.objectContaining({ code: 'bad-input' }))
  })
})

describe.runIf(requireTool('openssl'))('openssl', () => {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-truststore-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const file = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }
  const bundle = encodeCrlBundle([makeCrl(root).der, makeCrl(issuing).der])

  test('finds every certificate of a truststore', () => {
    const text = execFileSync('openssl', ['storeutl', '-noout', '-text', '-certs', file('all.pem', pem)]).toString()
    expect(text).toContain('Total found: 3')
    const subjects = execFileSync('sh', [
      '-c',
      `openssl crl2pkcs7 -nocrl -certfile "${file('all.pem', pem)}" | openssl pkcs7 -print_certs -noout`,
    ])
    expect(String(subjects).match(/^subject=.*$/gm)).toHaveLength(3)
  })

  test('finds every CRL of a bundle', () => {
    const text = execFileSync('openssl', ['storeutl', '-noout', '-crls', file('crls.pem', bundle)]).toString()
    expect(text).toContain('Total found: 2')
  })

  test('verifies a leaf with truststore and bundle alone', () => {
    const leaf = makeLeaf({
      issuer: issuing,
      subject: 'device-1',
      notBefore: thisUpdate - 1000,
      notAfter: thisUpdate + day,
    })
    const { stdout, stderr } = spawnSync('openssl', [
      'verify',
      '-crl_check_all',
      ...['-attime', String(thisUpdate / 1000)],
      ...['-CAfile', file('anchors.pem', pem)],
      ...['-CRLfile', file('crls.pem', bundle)],
      file('leaf.pem', leaf.pem),
    ])
    expect(`${stdout}${stderr}`).toContain('leaf.pem: OK')
  })
})

describe.runIf(requireTool('nginx') && requireTool('openssl'))('nginx', () => {
  test('loads truststore and bundle', () => {
    const folder = mkdtempSync(join(tmpdir(), 'everleaf-nginx-'))
    try {
      const server = makeLeaf({ issuer: issuing, subject: 'server', eku: ['serverAuth'], ...period })
      const files = {
        'server.pem': server.pem,
        'server.key': server.privateKeyPem,
        'truststore.pem': pem,
        'crl.pem': encodeCrlBundle([makeCrl(root).der, makeCrl(issuing).der, makeCrl(partner).der]),
      }
      for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 })
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (kind) => `${kind}_temp_path ${folder}/${kind};`,
      )
      writeFileSync(
        join(folder, 'nginx.conf'),
        `pid ${folder}/pid; error_log stderr; events {}
        http { access_log off; ${temporary.join(' ')} server {
          listen unix:${folder}/socket ssl;
          ssl_certificate ${folder}/server.pem; ssl_certificate_key ${folder}/server.key;
          ssl_client_certificate ${folder}/truststore.pem; ssl_crl ${folder}/crl.pem;
          ssl_verify_client on; ssl_verify_depth 4;
        } }`,
      )
      const { stderr, status } = spawnSync('nginx', ['-t', '-p', folder, '-c', join(folder, 'nginx.conf')])
      expect(String(stderr)).toContain('test is successful')
      expect(status).toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
