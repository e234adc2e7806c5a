import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { isEverleafError } from '../../src/errors.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { makeKey } from '../support/certificates.ts'
import { day, type TestDevice } from '../support/world.ts'
import {
  authority,
  type CutAt,
  checkDevices,
  checkEvents,
  type FaultyWorld,
  type FieldDevice,
  makeFaultyWorld,
} from './world-under-faults.ts'

/** The simple model: which devices there are. What each may expect is checked against the world after every command. */
type Model = { enrolled: Set<string> }
type Command = fc.AsyncCommand<Model, FaultyWorld>

const name = (index: number) => `device-${index}`
/** A cut-off process and a fault that the client is told of are both answers that the device never gets. */
const orCut = async <Result>(work: Promise<Result>): Promise<Result | null> => {
  try {
    return await work
  } catch (error) {
    if ((error instanceof Error && error.message.startsWith('the process died')) || isEverleafError(error, 'too-many'))
      return null
    throw error
  }
}
const newest = (device: FieldDevice): TestDevice | undefined => device.held.at(-1)
const deviceOf = ({ devices }: FaultyWorld, id: string): FieldDevice => {
  const device = devices.get(id) ?? { id, held: [], pendingKey: null }
  devices.set(id, device)
  return device
}
const isGood = ({ world, revoked }: FaultyWorld, device: TestDevice | undefined): device is TestDevice =>
  device !== undefined && world.clock.now() <= device.certificate.notAfter && !revoked.has(device.certificate.serial)

const command = (
  label: string,
  run: (faulty: FaultyWorld, model: Model) => Promise<void>,
  needs?: string,
): Command => ({
  check: ({ enrolled }) => needs === undefined || enrolled.has(needs),
  async run(model, faulty) {
    await run(faulty, model)
    await checkDevices(faulty)
  },
  toString: () => label,
})

const enrol = (id: string, profile: string): Command =>
  command(`enrol ${id} under ${profile}`, async (faulty, model) => {
    const got = await orCut(faulty.world.enrol(id, { profile }))
    model.enrolled.add(id)
    if (got !== null) deviceOf(faulty, id).held.push(got)
  })

const renew = (id: string, answer: 'arrives' | 'is lost', times: number): Command =>
  command(
    `renew ${id}, ${times} at once, the answer ${answer}`,
    async (faulty) => {
      const device = deviceOf(faulty, id)
      const current = newest(device)
      if (!isGood(faulty, current)) return
      const isReuse = current.certificate.profile === 'reuse'
      device.pendingKey ??= isReuse ? current.key : makeKey()
      const key = device.pendingKey
      const all = await Promise.all(Array.from({ length: times }, () => orCut(faulty.world.renew(current, key))))
      const got = all.filter((each) => each !== null)
      expect(new Set(got.map(({ certificate }) => certificate.serial)).size).toBeLessThanOrEqual(1)
      const [first] = got
      if (first === undefined || answer === 'is lost') return
      device.held.push(first)
      device.pendingKey = null
    },
    id,
  )

const use = (id: string): Command =>
  command(
    `${id} uses its newest`,
    async (faulty) => {
      const current = newest(deviceOf(faulty, id))
      if (isGood(faulty, current)) await orCut(faulty.world.contact(current))
    },
    id,
  )

const revoke = (id: string): Command =>
  command(
    `revoke ${id}`,
    async (faulty) => {
      const { ports } = faulty.world
      const device = deviceOf(faulty, id)
      const current = newest(device)
      if (!isGood(faulty, current)) return
      await orCut(revokeCertificate({ key: current.certificate, reason: 'keyCompromise' }, ports))
      // Cut off after the commit it was not acknowledged and holds all the same: the store is asked what holds.
      for (const row of await ports.store.certificates.list({ device: id, limit: 1_000 }))
        if (row.state === 'revoked' && !faulty.revoked.has(row.serial))
          faulty.revoked.set(row.serial, { serial: row.serial, notAfter: row.notAfter, isServed: false })
      if (faulty.revoked.has(current.certificate.serial)) device.pendingKey = null
    },
    id,
  )

const publish = command('publish', async (faulty) => {
  await faulty.world.clock.advance(1)
  await orCut(publishCrl({ authority, shard: 0, force: true }, faulty.world.ports))
})

const pass = (days: number): Command =>
  command(`${days} days pass`, async ({ world }) => {
    await world.pass(days * day, Math.max(1, Math.round(days / 2)) * day)
  })
const cutNext = (at: CutAt, count: number): Command =>
  command(`cut off ${at} the effect after ${count}`, async (faulty) => faulty.cut(at, count))
const sinkGoes = (way: 'down' | 'up'): Command =>
  command(`the sink goes ${way}`, async ({ world }) => world.sink[way]())

const ids = fc.nat(2).map(name)
const commands = fc.commands(
  [
    fc.tuple(ids, fc.constantFrom('device', 'reuse')).map(([id, profile]) => enrol(id, profile)),
    fc
      .tuple(ids, fc.constantFrom('arrives' as const, 'is lost' as const), fc.integer({ min: 1, max: 3 }))
      .map(([id, answer, times]) => renew(id, answer, times)),
    ids.map((id) => renew(id, 'arrives', 1)),
    ids.map(use),
    ids.map(use),
    ids.map(revoke),
    fc.constant(publish),
    fc.integer({ min: 1, max: 40 }).map(pass),
    fc.tuple(fc.constantFrom('before' as const, 'after' as const), fc.nat(3)).map(([at, count]) => cutNext(at, count)),
    fc.constantFrom('down' as const, 'up' as const).map(sinkGoes),
  ],
  { maxCommands: 40, size: 'max' },
)

let reached = 0
afterAll(() => expect(reached).toBeGreaterThan(0))

test('however enrolments, renewals, lost answers, revocations, crashes and time interleave, every promise holds', async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (all) => {
      const faulty = await makeFaultyWorld()
      try {
        await fc.asyncModelRun(() => ({ model: { enrolled: new Set<string>() }, real: faulty }), all)
        reached += faulty.revoked.size
        faulty.uncut()
        faulty.world.sink.up()
        await faulty.world.pass(2 * 3_600_000, 600_000)
        await checkDevices(faulty)
        await publishCrl({ authority, shard: 0, force: true }, faulty.world.ports)
        await checkDevices(faulty)
        await faulty.world.pass(3_600_000, 600_000)
        await checkEvents(faulty)
      } finally {
        await faulty.world.stop()
      }
    }),
    { seed: 20_270_101, numRuns: 12, endOnFailure: true },
  )
}, 120_000)
