import { jobTable } from '../../src/jobs/index.ts'
import { confirmCertificate } from '../../src/lifecycle/confirm-certificate.ts'
import { createToken } from '../../src/lifecycle/create-token.ts'
import { deliverCertificate } from '../../src/lifecycle/deliver-certificate.ts'
import { enrolDevice } from '../../src/lifecycle/enrol-device.ts'
import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { recordProfiles } from '../../src/lifecycle/record-profiles.ts'
import { registerAuthorities } from '../../src/lifecycle/register-authorities.ts'
import { renewCertificate } from '../../src/lifecycle/renew-certificate.ts'
import { renewListener } from '../../src/lifecycle/renew-listener.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import type { Certificate, Duration } from '../../src/model.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { makeCsr, type TestKey } from '../support/certificates.ts'
import type { Witness } from './invariants.ts'

/** The keys of the devices of the story, made beforehand: whoever asks again asks with the same one. */
export type StoryKeys = Readonly<Record<'first' | 'second' | 'stolen' | 'kept', TestKey>>

/** What the outside got to know: an answer that arrived. */
export type Fact =
  | { what: 'token'; device: string; token: string }
  | { what: 'certificate'; device: string; certificate: Certificate }
  | { what: 'revocation'; serial: string }

/** What the outside remembers while the server comes and goes. */
export interface Outside extends Witness {
  keys: StoryKeys
  tokens: Map<string, string>
  /** The newest certificate of each device. */
  certificates: Map<string, Certificate>
  /** Told of each fact at once, before anything else happens. */
  hears(fact: Fact): void
}

export const newOutside = (keys: StoryKeys): Outside => ({
  keys,
  tokens: new Map(),
  certificates: new Map(),
  received: [],
  revoked: [],
  hears: () => undefined,
})

export const remember = (outside: Outside, fact: Fact): void => {
  outside.hears(fact)
  if (fact.what === 'token') outside.tokens.set(fact.device, fact.token)
  else if (fact.what === 'revocation') outside.revoked.push(fact.serial)
  else {
    outside.received.push(fact.certificate.der)
    outside.certificates.set(fact.device, fact.certificate)
  }
}

export const outsideAgain = (outside: Outside): Outside => ({
  keys: outside.keys,
  tokens: new Map(outside.tokens),
  certificates: new Map(outside.certificates),
  received: [...outside.received],
  revoked: [...outside.revoked],
  hears: outside.hears,
})

interface Asking {
  ports: Ports
  outside: Outside
  /** Lets time pass. */
  wait(duration: Duration): Promise<void>
}

export interface Step {
  name: string
  /** May be cut off anywhere and is then simply done again. */
  run(asking: Asking): Promise<void>
}

const token = (device: string, profile = 'device'): Step => ({
  name: `a token for ${device}`,
  async run({ ports, outside }) {
    const request = { device, profile, ttl: 3_600_000, labels: {} }
    const made = await createToken(request, ports)
    remember(outside, { what: 'token', device, token: made.token })
  },
})

const san = (device: string) => ({ uri: [`spiffe://everleaf.test/device/${device}`] })

const held = (device: string, { certificates }: Outside): Certificate => {
  const certificate = certificates.get(device)
  if (certificate === undefined) throw new Error(`${device} holds no certificate`)
  return certificate
}

const enrol = (device: string, key: keyof StoryKeys): Step => ({
  name: `${device} enrols`,
  async run({ ports, outside }) {
    const csr = parseCsr((await makeCsr({ key: outside.keys[key], subject: device, san: san(device) })).der)
    const secret = outside.tokens.get(device) ?? ''
    const certificate = await enrolDevice({ user: '', token: secret, label: null, csr }, ports)
    remember(outside, { what: 'certificate', device, certificate })
    await deliverCertificate(certificate, ports)
  },
})

const use = (device: string): Step => ({
  name: `${device} uses its certificate`,
  async run({ ports, outside }) {
    const certificate = held(device, outside).der
    await confirmCertificate(await identifyDevice({ certificate, purpose: 'read' }, ports), ports)
  },
})

const renew = (device: string, key: keyof StoryKeys): Step => ({
  name: `${device} renews`,
  async run({ ports, outside }) {
    const { predecessor, der } = held(device, outside)
    // Cut off after the answer it holds the successor already, and asks no more.
    if (predecessor !== null) return
    const client = await identifyDevice({ certificate: der, purpose: 'renew' }, ports)
    const csr = parseCsr((await makeCsr({ key: outside.keys[key], subject: device, san: san(device) })).der)
    await confirmCertificate(client, ports)
    const certificate = await renewCertificate({ client, label: null, csr }, ports)
    remember(outside, { what: 'certificate', device, certificate })
    await deliverCertificate(certificate, ports)
  },
})

const revoke = (device: string): Step => ({
  name: `${device} is revoked`,
  async run({ ports, outside }) {
    const key = held(device, outside)
    await revokeCertificate({ key, reason: 'keyCompromise' }, ports)
    remember(outside, { what: 'revocation', serial: key.serial })
  },
})

const sweep: Step = { name: 'a sweep runs', run: ({ ports }) => sweepInOrder(ports) }

/** One device renews with a new key, one is revoked, and one is renewed ahead by the server. */
export const steps: readonly Step[] = [
  {
    name: 'the server starts',
    async run({ ports }) {
      await registerAuthorities(ports)
      await recordProfiles(ports)
      await renewListener({}, ports)
    },
  },
  token('first'),
  enrol('first', 'first'),
  token('stolen'),
  enrol('stolen', 'stolen'),
  use('stolen'),
  token('kept', 'reuse'),
  enrol('kept', 'kept'),
  use('kept'),
  sweep,
  revoke('stolen'),
  renew('first', 'second'),
  use('first'),
  {
    name: 'the slots are reached',
    async run({ ports, outside, wait }) {
      await wait((held('kept', outside).slot ?? 0) - ports.clock.now())
    },
  },
  sweep,
  renew('kept', 'kept'),
  use('kept'),
  sweep,
]

/** Everything that is due, job after job in the order of the table, so that the points are the same each time. A failed job does not keep the others from running. */
export const sweepInOrder = async (ports: Ports): Promise<void> => {
  const failures: unknown[] = []
  for (const job of jobTable(ports, { sweep: '* * * * * *', coalesce: 0 }))
    for await (const { payload } of await job.due(ports.clock.now()))
      await job.run(payload).catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}
