import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import { crlKey, type Ports } from '../../src/lifecycle/ports.ts'
import { type ParsedCrl, parseCrl } from '../../src/pki/crl.ts'
import type { TestKey } from '../support/certificates.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

export const authority = 'issuing-g1'
export type CutAt = 'before' | 'after'

/** What a device in the field has: every pair that it ever got, and the key of a request whose answer was lost. */
export interface FieldDevice {
  id: string
  held: TestDevice[]
  pendingKey: TestKey | null
}

/** What was promised: a revocation whose acknowledgement was given. */
export interface Acknowledged {
  serial: string
  notAfter: number
  /** A published CRL held it that was issued after its expiry. */
  isServed: boolean
}

/** A server whose process can be cut off before or after its next durable effect, and what the outside knows of it. */
export interface FaultyWorld {
  world: World
  devices: Map<string, FieldDevice>
  revoked: Map<string, Acknowledged>
  /** Of the CRLs that were put. */
  lastNumber: bigint
  /** What a CRL that was put broke. */
  broken: unknown[]
  /** Cuts off at the `count`-th durable effect from now on, once. */
  cut(at: CutAt, count: number): void
  uncut(): void
}

export const makeFaultyWorld = async (): Promise<FaultyWorld> => {
  let fault: { at: CutAt; left: number } | null = null
  const through = async <Result>(effect: () => Promise<Result>): Promise<Result> => {
    const isHere = fault !== null && fault.left-- === 0
    const at = isHere ? fault?.at : null
    if (isHere) fault = null
    if (at === 'before') throw new Error('the process died before it')
    const result = await effect()
    if (at === 'after') throw new Error('the process died after it')
    return result
  }
  const wrap = (ports: Ports): Ports => ({
    ...ports,
    store: { ...ports.store, transaction: (work) => through(() => ports.store.transaction(work)) },
    publication: {
      ...ports.publication,
      put: (...call) =>
        through(async () => {
          const version = await ports.publication.put(...call)
          if (call[0] === crlKey(authority, 0)) look(parseCrl(call[1]))
          return version
        }),
    },
  })
  const seen: Pick<FaultyWorld, 'lastNumber' | 'revoked' | 'broken'> = {
    lastNumber: 0n,
    revoked: new Map(),
    broken: [],
  }
  const look = (crl: ParsedCrl): void => {
    try {
      checkCrl(seen, crl)
    } catch (error) {
      seen.broken.push(error)
    }
  }
  const renewal = { ...deviceProfile.renewal, burst: 6 }
  const reuse = { ...deviceProfile, name: 'reuse', renewal: { ...renewal, keys: 'reuse' as const } }
  const world = await makeWorld({
    wrap,
    profiles: [{ ...deviceProfile, renewal }, reuse],
    settings: { retention: { certificates: 20 * day, events: 5 * day } },
  })
  return {
    ...seen,
    world,
    devices: new Map(),
    cut(at, count) {
      fault = { at, left: count }
    },
    uncut() {
      fault = null
    },
  }
}

const isAccepted = async ({ world }: FaultyWorld, device: TestDevice): Promise<boolean> => {
  try {
    await identifyDevice({ certificate: device.certificate.der, purpose: 'read' }, world.ports)
    return true
  } catch {
    return false
  }
}

const equal = (what: string, actual: unknown, expected: unknown): void => {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, expected ${String(expected)}`)
}

/** P2 and P3: one successor for each predecessor and key; what a device holds works until it expires or is revoked. */
export const checkDevices = async (faulty: FaultyWorld): Promise<void> => {
  const { world, devices, revoked, broken } = faulty
  if (broken.length > 0) throw broken[0]
  const now = world.clock.now()
  for (const { id, held } of devices.values()) {
    const rows = await world.ports.store.certificates.list({ device: id, limit: 1_000 })
    const asked = rows.filter(({ predecessor }) => predecessor !== null)
    const names = asked.map(({ predecessor, spkiSha256 }) => `${predecessor?.serial}/${spkiSha256}`)
    equal(`successors of ${id} for one predecessor and key`, new Set(names).size, names.length)
    for (const device of held) {
      const { serial, notAfter } = device.certificate
      const isGood = now <= notAfter && !revoked.has(serial)
      equal(`${serial} of ${id} is accepted`, await isAccepted(faulty, device), isGood)
    }
  }
}

/**
 * P4, looked at for every CRL that is put: the number grows, and every acknowledged revocation is there until one CRL past
 * the certificate's expiry.
 */
const checkCrl = (faulty: Pick<FaultyWorld, 'lastNumber' | 'revoked'>, crl: ParsedCrl): void => {
  if (crl.number <= faulty.lastNumber) throw new Error(`CRL ${crl.number} after ${faulty.lastNumber}`)
  faulty.lastNumber = crl.number
  const present = new Set([...crl.entries()].map(({ serial }) => serial))
  for (const each of faulty.revoked.values()) {
    if (!present.has(each.serial) && !each.isServed)
      throw new Error(`revocation of ${each.serial} is missing in CRL ${crl.number}`)
    if (present.has(each.serial) && crl.thisUpdate > each.notAfter) each.isServed = true
  }
}

/** P6: each event arrived, for the first time in the order of its subject. */
export const checkEvents = async ({ world }: FaultyWorld): Promise<void> => {
  const seen = new Map<string, number>()
  const known = new Set<string>()
  for (const { id, subject, sequence } of world.sink.received) {
    if (known.has(id)) continue
    known.add(id)
    if (sequence < (seen.get(subject) ?? 0)) throw new Error(`event ${sequence} of ${subject} came late`)
    seen.set(subject, sequence)
  }
  for (const { id, detailType } of await world.ports.store.events.tail(10_000))
    if (!known.has(id)) throw new Error(`event ${detailType} ${id} never arrived`)
}
