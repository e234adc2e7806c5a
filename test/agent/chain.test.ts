import { describe, expect, it } from 'vitest'
import { type AgentCertificate, parseCertificate } from '../../src/agent/certificate.ts'
import { isRoot, verifyChain } from '../../src/agent/chain.ts'
import { acceptAnchors, pinnedRoot } from '../../src/agent/trust.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { makeAuthority, makeKey, makeLeaf } from '../support/certificates.ts'

const now = Date.UTC(2027, 5, 1)
const day = 86_400_000
const span = { notBefore: now - day, notAfter: now + 100 * day }
const root = makeAuthority({ name: 'Root', ...span })
const issuing = makeAuthority({ name: 'Issuing', parent: root, pathLength: 0, ...span })
const leaf = makeLeaf({ issuer: issuing, subject: 'device', ...span })

const read = ({ der }: { der: Uint8Array }): AgentCertificate => parseCertificate(der, 'test')
const question = {
  leaf: read(leaf),
  others: [read(issuing)],
  anchors: [read(root)],
  at: now,
  purpose: 'clientAuth' as const,
}
const fault = (change: Partial<typeof question>): string => {
  try {
    verifyChain({ ...question, ...change })
    return 'accepted'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a chain', () => {
  it('is found from the leaf to the root', () => {
    expect(verifyChain(question).map(({ subjectText }) => subjectText)).toEqual(['CN=device', 'CN=Issuing', 'CN=Root'])
  })

  it('is refused when the root is another one of the same name', () => {
    expect(fault({ anchors: [read(makeAuthority({ name: 'Root', ...span }))] })).toMatch(/CN=Issuing|CN=device/)
  })

  it('is refused without its intermediate', () => {
    expect(fault({ others: [] })).toMatch(/no authority .* signed CN=device .* its issuer is CN=Issuing/)
  })

  it('is refused before its time and after it, with both instants named', () => {
    expect(fault({ at: now + 200 * day })).toMatch(/CN=device .* ended at 2027-09-09.*it is 2027-12-18/)
    expect(fault({ at: now - 2 * day })).toMatch(/valid from 2027-05-31.*it is 2027-05-30/)
  })

  it('is refused for another purpose than its own', () => {
    expect(fault({ purpose: 'serverAuth' as never })).toMatch(/not for serverAuth/)
  })

  it('is refused when a leaf signed it', () => {
    const impostor = { ...issuing, key: leaf.key, privateKey: leaf.privateKey, parsed: leaf.parsed }
    const forged = makeLeaf({ issuer: impostor, subject: 'forged', ...span })
    expect(fault({ leaf: read(forged), others: [read(leaf), read(issuing)] })).not.toBe('accepted')
  })

  it('is refused where the path length is exceeded', () => {
    const below = makeAuthority({ name: 'Below', parent: issuing, ...span })
    const deep = makeLeaf({ issuer: below, subject: 'deep', ...span })
    expect(fault({ leaf: read(deep), others: [read(issuing), read(below)] })).toMatch(/allows 0 authorities below it/)
  })

  it('ends its search in a heap of authorities that all sign each other', () => {
    const key = makeKey()
    const heap = Array.from({ length: 20 }, () =>
      makeAuthority({ name: 'Loop', key, ...span, content: { issuer: encodeName([['CN', 'Loop']]) } }),
    )
    const first = heap[0]
    if (first === undefined) throw new Error('no authority')
    const lost = makeLeaf({ issuer: first, subject: 'lost', ...span })
    const started = performance.now()
    expect(fault({ leaf: read(lost), others: heap.map(read) })).toMatch(/given up after 200/)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('the pinned root', () => {
  it('is found by its fingerprint among the authorities of the server', () => {
    expect(pinnedRoot([read(issuing), read(root)], read(root).fingerprint).subjectText).toBe('CN=Root')
  })

  it('is refused when no authority has the fingerprint; both are named', () => {
    const wanted = '0'.repeat(64)
    expect(() => pinnedRoot([read(root)], wanted)).toThrow(new RegExp(`${wanted}.*${read(root).fingerprint}`))
  })

  it('is refused when the fingerprint is that of an intermediate', () => {
    expect(() => pinnedRoot([read(issuing), read(root)], read(issuing).fingerprint)).toThrow(/no self-signed authority/)
    expect(isRoot(read(root))).toBe(true)
  })
})

describe('new trust anchors', () => {
  const server = makeLeaf({ issuer: issuing, subject: 'server', eku: ['serverAuth'], ...span })
  const peer = [read(server), read(issuing)]
  const next = makeAuthority({ name: 'Next Root', ...span })

  it('are taken when they trust the server that sent them; only roots are kept', () => {
    const accepted = acceptAnchors({ offered: [root, issuing, next].map(read), peer, at: now })
    expect(accepted.map(({ subjectText }) => subjectText)).toEqual(['CN=Root', 'CN=Next Root'])
  })

  it('are refused when they would lock this device out', () => {
    expect(() => acceptAnchors({ offered: [read(next)], peer, at: now })).toThrow(
      /do not trust the server that sent them/,
    )
  })

  it('are refused when no valid root is among them', () => {
    expect(() => acceptAnchors({ offered: [], peer, at: now })).toThrow(/no valid root/)
    expect(() => acceptAnchors({ offered: [read(issuing)], peer, at: now })).toThrow(/no valid root/)
    expect(() => acceptAnchors({ offered: [read(root)], peer, at: now + 200 * day })).toThrow(/no valid root/)
  })
})
