import { parseCertificate } from '../../src/pki/certificate.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import type { Random } from '../../src/random/random.ts'
import { type ClientAnswer, type ClientIdentity, call } from '../api/support/client.ts'
import { certificatesIn, csrBody, simpleenroll, simplereenroll } from '../api/support/est.ts'
import { makeKey, type TestKey } from '../support/certificates.ts'
import { until } from '../support/server.ts'
import type { Witness } from './invariants.ts'
import type { Site } from './site.ts'

export interface FleetOptions {
  site: Site
  random: Random
  witness: Witness
  profiles: readonly string[]
  /** Called at every answer that any client got. */
  progress(): void
  /** Called at an answer that no client should get. */
  complain(words: string): void
}

interface Held {
  key: TestKey
  der: Uint8Array
}

/**
 * One client after another: each enrols, uses its certificate, renews it, and is perhaps revoked. Whatever stays without
 * answer is asked again in the same words until it is answered: the same token, the same key.
 */
export const runFleet = async (
  name: string,
  { site, random, witness, profiles, progress, complain }: FleetOptions,
  signal: AbortSignal,
): Promise<void> => {
  const port = site.ports.device

  /** Null: the test is over. */
  const asked = async <T>(what: string, ask: () => Promise<T | null>): Promise<T | null> => {
    for (;;) {
      if (signal.aborted) return null
      const answer = await ask().catch(() => null)
      if (answer !== null) {
        progress()
        return answer
      }
      await until(`a server to answer ${what}`, async () => signal.aborted || (await site.isUp()), 60_000)
    }
  }

  /** 503: it stops, or is just starting. */
  const isAnswered = ({ status, text }: ClientAnswer): boolean => {
    if (status !== 200 && status !== 503) complain(`${status} ${text}`)
    return status === 200
  }

  const received = (answer: ClientAnswer): Uint8Array | null => {
    if (!isAnswered(answer)) return null
    const [der] = certificatesIn(answer)
    if (der !== undefined) witness.received.push(der)
    return der ?? null
  }

  const identityOf = ({ key, der }: Held): ClientIdentity => ({
    cert: encodePem('CERTIFICATE', der),
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  })

  const enrol = async (device: string, profile: string): Promise<Held | null> => {
    const token = await asked(`a token for ${device}`, async () => {
      const made = await site.admin<{ token: string }>('tokens', { device, profile, ttl: '1h' })
      return made?.token ?? null
    })
    if (token === null) return null
    const key = makeKey()
    const body = await csrBody(device, key)
    const der = await asked(`enrolling ${device}`, async () => received(await simpleenroll({ port, token, body })))
    return der && { key, der }
  }

  const use = async (device: string, held: Held): Promise<unknown> => {
    const body = JSON.stringify({
      agent: 'test',
      time: new Date().toISOString(),
      trustAnchors: null,
      crl: null,
      error: null,
    })
    const headers = { 'Content-Type': 'application/json' }
    const path = '/everleaf/v1/check-in'
    return asked(
      `the check-in of ${device}`,
      async () =>
        isAnswered(await call({ port, method: 'POST', path, headers, body, identity: identityOf(held) })) || null,
    )
  }

  const renew = async (device: string, held: Held, key: TestKey): Promise<Held | null> => {
    const body = await csrBody(device, key)
    const identity = identityOf(held)
    const der = await asked(`the renewal of ${device}`, async () =>
      received(await simplereenroll({ port, body, identity })),
    )
    return der && { key, der }
  }

  const revoke = async ({ der }: Held): Promise<void> => {
    const { serial } = parseCertificate(der)
    const path = `certificates/issuing-g1/${serial}/revoke`
    const done = await asked(`the revocation of ${serial}`, () => site.admin(path, { reason: 'keyCompromise' }))
    if (done !== null) witness.revoked.push(serial)
  }

  for (let number = 1; !signal.aborted; number += 1) {
    const device = `${name}-${number}`
    const profile = profiles[Math.floor(random.fraction() * profiles.length)] ?? ''
    let held = await enrol(device, profile)
    if (profile === 'brief' || held === null || (await use(device, held)) === null) continue
    for (let renewals = Math.floor(random.fraction() * 3); renewals > 0 && held !== null; renewals -= 1) {
      held = await renew(device, held, profile === 'reuse' ? held.key : makeKey())
      if (held === null || (await use(device, held)) === null) break
    }
    if (held !== null && random.fraction() < 0.4) await revoke(held)
  }
}
