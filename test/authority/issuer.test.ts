import { describe, expect, it } from 'vitest'
import { createCrlSigner, createIssuer } from '../../src/authority/issuer.ts'
import { crlOrderAt, hour, orderAt } from '../contract/issuer.ts'
import { fakeClock } from '../fakes/clock.ts'
import { makeAuthority, makeKey } from '../support/certificates.ts'

const clock = fakeClock()
const life = { notBefore: clock.now() - hour, notAfter: clock.now() + 24 * hour }
const authority = makeAuthority({ name: 'Issuing G1', parent: makeAuthority({ name: 'Root G1', ...life }), ...life })
const wrong = { certificate: authority.parsed, key: makeKey().privateKey }

describe('an issuer', () => {
  it('hands out no certificate whose signature does not verify under its own certificate', async () => {
    const issued = createIssuer(wrong, clock).issue(orderAt(clock.now()))
    await expect(issued).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('not issued') })
  })

  it('hands out no CRL whose signature does not verify under its own certificate', async () => {
    const signed = createCrlSigner(wrong).signCrl(crlOrderAt(clock.now()))
    await expect(signed).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('not issued') })
  })

  it('takes its name and key from its certificate, whatever the order says beside', async () => {
    const order = {
      ...orderAt(clock.now()),
      issuer: new Uint8Array([48, 0]),
      authorityKeyIdentifier: new Uint8Array(20),
    }
    const issuer = createIssuer({ certificate: authority.parsed, key: authority.privateKey }, clock)
    const der = Buffer.from((await issuer.issue(order)).der)
    expect(der.includes(Buffer.from(authority.parsed.subject))).toBe(true)
    expect(der.includes(Buffer.from(authority.parsed.subjectKeyIdentifier ?? []))).toBe(true)
  })
})
