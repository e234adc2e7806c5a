import { EverleafError } from '../../src/errors.ts'
import type { Gateway, GatewayArtefacts, GatewayLimits, GatewayObservation } from '../../src/gateway/gateway.ts'
import { createMutex } from '../../src/mutex.ts'
import { sha256Hex } from '../../src/pki/digest.ts'

export interface FakeGateway extends Gateway {
  /** What it enforces now; null: nothing was applied yet. */
  enforced: GatewayArtefacts | null
  /** How often it was really changed. */
  reloads: number
  /** From now on it cannot be reached. */
  down(): void
  up(): void
  /** It will not take any artefacts, until told to `accept`. */
  refuse(reason: string): void
  accept(): void
  /** Somebody else changes what it enforces. */
  tamper(change: Partial<GatewayObservation>): void
  /** Runs before the next change takes effect, once: what happens while a gateway reloads. */
  during(work: () => Promise<void>): void
}

const noLimits: GatewayLimits = { truststoreCertificates: null, truststoreBytes: null, crlBytes: null }
const digest = (text: string): string => sha256Hex(new TextEncoder().encode(text))

/** A gateway in memory that keeps the contract of the port and can be broken as real ones are. */
export const fakeGateway = ({
  name = 'edge',
  limits = {},
}: {
  name?: string
  limits?: Partial<GatewayLimits>
} = {}): FakeGateway => {
  const serially = createMutex()
  let observation: GatewayObservation = { truststoreSha256: null, crlSha256: null }
  let isDown = false
  let refusal: string | null = null
  let meanwhile: (() => Promise<void>) | null = null

  const refuseUnreachable = (): void => {
    if (isDown) throw new EverleafError('unavailable', `gateway ${name} cannot be reached`)
  }
  const check = ({ truststore, crl }: GatewayArtefacts): void => {
    for (const { pem, sha256 } of [truststore, crl])
      if (digest(pem) !== sha256)
        throw new EverleafError('bad-input', `gateway ${name}: SHA-256 is ${digest(pem)}, expected ${sha256}`)
    if (refusal !== null) throw new EverleafError('refused', `gateway ${name}: ${refusal}`)
    if (truststore.pem === '' || crl.pem === '') throw new EverleafError('refused', `gateway ${name}: an empty file`)
  }

  const gateway: FakeGateway = {
    name,
    limits: { ...noLimits, ...limits },
    enforced: null,
    reloads: 0,
    async observe() {
      refuseUnreachable()
      return observation
    },
    apply: (artefacts) =>
      serially(async () => {
        refuseUnreachable()
        check(artefacts)
        const work = meanwhile
        meanwhile = null
        await work?.()
        gateway.enforced = artefacts
        gateway.reloads++
        observation = { truststoreSha256: artefacts.truststore.sha256, crlSha256: artefacts.crl.sha256 }
      }),
    down() {
      isDown = true
    },
    up() {
      isDown = false
    },
    refuse(reason) {
      refusal = reason
    },
    accept() {
      refusal = null
    },
    tamper(change) {
      observation = { ...observation, ...change }
    },
    during(work) {
      meanwhile = work
    },
  }
  return gateway
}
