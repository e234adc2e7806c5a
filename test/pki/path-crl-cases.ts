import type { ParsedCrl } from '../../src/pki/crl.ts'
import type { TestAuthority, TestCertificate } from '../support/certificates.ts'
import { day, makeCrl } from './crl-builders.ts'
import type { PathCase } from './path-builders.ts'
import { chainOf, issuing, leaf, leafOf, now, root, twin } from './path-builders.ts'

const crl = (of: TestAuthority, ...revoked: TestCertificate[]): ParsedCrl =>
  makeCrl(of, {
    entries: revoked.map(({ parsed }) => ({
      serial: parsed.serial,
      revokedAt: now - 2 * day,
      reason: 'keyCompromise',
    })),
  })
const stale = { thisUpdate: now - 9 * day, nextUpdate: now - 2 * day }

export const crlCases: Readonly<Record<string, PathCase>> = {
  'a chain with fresh CRLs': {
    ...chainOf(leaf, issuing),
    crls: [crl(issuing), crl(root)],
    verdict: 'ok',
    openssl: 'ok',
  },
  'a revoked leaf': {
    ...chainOf(leaf, issuing),
    crls: [crl(issuing, leaf), crl(root)],
    verdict: [
      'revoked',
      'CN=device-1',
      /not in CRL \d+ of "CN=Issuing"/,
      /revoked at 2026-05-30T12:00:00.000Z, reason keyCompromise/,
    ],
    openssl: [23, 0],
  },
  'a revoked intermediate': {
    ...chainOf(leaf, issuing),
    crls: [crl(issuing), crl(root, issuing)],
    verdict: ['revoked', 'CN=Issuing', /not in CRL \d+ of "CN=Root"/, /keyCompromise/],
    openssl: [23, 1],
  },
  'a revoked intermediate that is itself an anchor': {
    ...chainOf(leaf, issuing),
    intermediates: [],
    anchors: [issuing.parsed, root.parsed],
    crls: [crl(issuing), crl(root, issuing)],
    verdict: ['revoked', 'CN=Issuing', /CN=Root/, /keyCompromise/],
    openssl: [23, 1],
  },
  'a revocation in a stale CRL': {
    ...chainOf(leaf, issuing),
    crls: [
      makeCrl(issuing, {
        ...stale,
        entries: [{ serial: leaf.parsed.serial, revokedAt: now - 9 * day, reason: 'unspecified' }],
      }),
      crl(root),
    ],
    verdict: ['revoked', 'CN=device-1', /CN=Issuing/, /unspecified/],
    openssl: [12, 0],
  },
  'no CRL of the issuing CA': {
    ...chainOf(leaf, issuing),
    crls: [crl(root)],
    verdict: ['crlMissing', 'CN=device-1', /^a CRL of "CN=Issuing"$/, /^none$/],
    openssl: [3, 0],
  },
  'no CRL of the root': {
    ...chainOf(leaf, issuing),
    crls: [crl(issuing)],
    verdict: ['crlMissing', 'CN=Issuing', /^a CRL of "CN=Root"$/, /^none$/],
    openssl: [3, 1],
  },
  'no CRL at all': {
    ...chainOf(leaf, issuing),
    crls: [],
    verdict: ['crlMissing', 'CN=Issuing', /CN=Root/, /^none$/],
    openssl: [3, 0],
  },
  'a CRL that another key signed': {
    ...chainOf(leafOf(twin), twin),
    crls: [crl(root)],
    verdict: ['crlMissing', 'CN=device-1', /^a CRL of "CN=Root"$/, /its key did not sign/],
    openssl: [3, 0],
  },
  'a stale CRL': {
    ...chainOf(leaf, issuing),
    crls: [makeCrl(issuing, stale), crl(root)],
    verdict: [
      'crlStale',
      'CN=device-1',
      /good at 2026-06-01T12:00:00.000Z/,
      /from 2026-05-23T12:00:00.000Z to 2026-05-30T12:00:00.000Z/,
    ],
    openssl: [12, 0],
  },
  'two stale CRLs, of which the newer is told': {
    ...chainOf(leaf, issuing),
    crls: [
      makeCrl(issuing, { thisUpdate: now - 20 * day, nextUpdate: now - 10 * day, number: 1n }),
      makeCrl(issuing, { ...stale, number: 3n }),
      makeCrl(issuing, { thisUpdate: now - 15 * day, nextUpdate: now - 5 * day, number: 2n }),
      crl(root),
    ],
    verdict: ['crlStale', 'CN=device-1', /good at/, /^CRL 3 from/],
    openssl: [12, 0],
  },
  'a CRL in its first and another in its last second': {
    ...chainOf(leaf, issuing),
    crls: [
      makeCrl(issuing, { thisUpdate: now, nextUpdate: now + day }),
      makeCrl(root, { thisUpdate: now - day, nextUpdate: now }),
    ],
    verdict: 'ok',
    openssl: [12, 1],
    differs: 'to OpenSSL the second of the next update is past it',
  },
  'a stale CRL beside a fresh one': {
    ...chainOf(leaf, issuing),
    crls: [makeCrl(issuing, stale), crl(issuing), crl(root)],
    verdict: 'ok',
    openssl: 'ok',
  },
  'a CRL from the future': {
    ...chainOf(leaf, issuing),
    crls: [makeCrl(issuing, { thisUpdate: now + day, nextUpdate: now + 2 * day }), crl(root)],
    verdict: ['crlStale', 'CN=device-1', /good at/, /from 2026-06-02/],
    openssl: [11, 0],
  },
}
