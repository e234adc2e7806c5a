import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { World } from '../../src/agent/agent.ts'
import { enrolAgent } from '../../src/agent/enrol.ts'
import { loadJournal, steps } from '../../src/agent/journal.ts'
import { currentNumber } from '../../src/agent/pairs.ts'
import { renewOnce } from '../../src/agent/renew.ts'
import { round, settle } from '../../src/agent/round.ts'
import { DeviceServer } from '../fakes/device-server.ts'
import { Fuse, PowerCut, PowerCutDisk, type Survival, survivals } from '../fakes/power-cut-disk.ts'
import { inUse, makeWorld, openFrom, settingsFor, type TestWorld } from './setup.ts'

const directory = '/device'
const settings = { hook: ['reload'] }

/** The world of one process: each request and each hook call is an effect too, cut before it is sent and before its answer is seen. */
const worldOn = (disk: PowerCutDisk): TestWorld => {
  const world = makeWorld({ disk, directory })
  const { openSession } = world
  world.openSession = (options) => {
    const session = openSession(options)
    return {
      ...session,
      request: async (request) => {
        disk.fuse.effect(`send ${request.path}`)
        const answer = await session.request(request)
        disk.fuse.effect(`answer ${request.path}`)
        return answer
      },
    }
  }
  world.onHook.run = async () => {
    disk.fuse.effect('hook starts')
    disk.fuse.effect('hook ended')
  }
  return world
}

/** Runs until the fuse blows or the work ends; returns whether it was cut. */
const until = async (fuse: Fuse, disk: PowerCutDisk, work: () => Promise<unknown>): Promise<boolean> => {
  disk.fuse = fuse
  try {
    await work()
  } catch (error) {
    if (!fuse.isBlown) throw error
  }
  return fuse.isBlown
}

interface Cut {
  at: number
  torn: boolean
  survival: Survival
}

const cuts = (effects: readonly string[]): Cut[] =>
  effects.flatMap((effect, at) =>
    [false, ...(effect.startsWith('write') ? [true] : [])].flatMap((torn) =>
      survivals.map((survival) => ({ at, torn, survival })),
    ),
  )

describe('a power cut', () => {
  let server: DeviceServer

  beforeAll(async () => {
    server = await new DeviceServer().start()
    /** The first certificate is to be renewed at once, every other one in its time. */
    const calm = server.hint
    server.hint = (certificate) => ({ ...calm(certificate), now: certificate.predecessor === null })
  })
  afterAll(() => server.stop())

  const enrolOn = (world: World) =>
    enrolAgent(world, { settings: settingsFor(server, settings), token: 'token', force: false })

  it('at any effect of a renewal leaves a usable pair, and the next run ends with exactly one more certificate', async () => {
    server.token('token', 'device-1')
    const origin = new PowerCutDisk()
    await enrolOn(worldOn(origin))
    const restore = server.snapshot()

    const whole = new Fuse()
    const rehearsal = origin.afterCut('everything')
    await until(whole, rehearsal, async () => renewOnce(openFrom(worldOn(rehearsal)), { force: false }))
    expect(server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
    const noted = whole.reached.filter((effect) => effect === `rename to ${directory}/journal.json`)
    expect(noted).toHaveLength(steps.length)
    expect(whole.reached).toContain('send /.well-known/est/simplereenroll')
    expect(whole.reached).toContain('answer /everleaf/v1/check-in')
    expect(whole.reached).toContain(`rename to ${directory}/current`)
    expect(whole.reached).toContain('hook ended')
    expect(whole.reached.length).toBeGreaterThan(60)

    const found = new Set<string | undefined>()
    for (const { at, torn, survival } of cuts(whole.reached)) {
      const where = `cut at ${at} (${whole.reached[at]})${torn ? ', torn' : ''}, ${survival}`
      restore()
      const first = origin.afterCut('everything')
      const wasCut = await until(new Fuse(at, torn), first, async () =>
        renewOnce(openFrom(worldOn(first)), { force: false }),
      )
      expect(wasCut, where).toBe(true)

      const disk = first.afterCut(survival)
      const world = worldOn(disk)
      expect(inUse(world).leaf.subjectText, where).toBe('CN=device-1')
      const reachedBefore = loadJournal(disk, directory)?.step
      found.add(reachedBefore)

      world.openSession = () => {
        throw new PowerCut('offline')
      }
      const settled = await settle(openFrom(world), { hook: 'now' })
      if (reachedBefore === 'proven' || reachedBefore === 'switched' || reachedBefore === 'hooked') {
        expect(settled?.step, where).toBe('confirmed')
        expect(inUse(world).leaf.fingerprint, where).toBe(server.certificates[1]?.fingerprint)
      }

      const online = worldOn(disk)
      await renewOnce(openFrom(online), { force: false })
      expect(server.certificates.length, where).toBe(2)
      expect(
        server.certificates.map(({ state }) => state),
        where,
      ).toEqual(['superseded', 'confirmed'])
      expect(inUse(online).leaf.fingerprint, where).toBe(server.certificates[1]?.fingerprint)
      expect(loadJournal(disk, directory)?.step, where).toBe('confirmed')
      const again = await round(openFrom(online), { forced: false })
      expect(again.renewed, where).toBe(false)
    }
    expect([...found].sort()).toEqual([...steps].sort())
  }, 300_000)

  it('again and again, during the recovery too, still ends with exactly one more certificate', async () => {
    server.certificates = []
    server.token('token', 'device-1')
    const origin = new PowerCutDisk()
    await enrolOn(worldOn(origin))
    const restore = server.snapshot()
    const cutAnywhere = fc.record({ at: fc.nat(45), torn: fc.boolean(), survival: fc.constantFrom(...survivals) })
    await fc.assert(
      fc.asyncProperty(fc.array(cutAnywhere, { minLength: 2, maxLength: 10 }), async (series) => {
        restore()
        let disk = origin.afterCut('everything')
        for (const { at, torn, survival } of series) {
          const tried = disk
          await until(new Fuse(at, torn), tried, async () => renewOnce(openFrom(worldOn(tried)), { force: false }))
          disk = tried.afterCut(survival)
          inUse(worldOn(disk))
        }
        await renewOnce(openFrom(worldOn(disk)), { force: false })
        expect(server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
        expect(inUse(worldOn(disk)).leaf.fingerprint).toBe(server.certificates[1]?.fingerprint)
      }),
      { numRuns: 60 },
    )
  }, 300_000)

  it('at any effect of an enrolment costs nothing: the same token ends with exactly one certificate', async () => {
    server.certificates = []
    server.token('token', 'device-1')
    const restore = server.snapshot()
    const whole = new Fuse()
    const rehearsal = new PowerCutDisk()
    await until(whole, rehearsal, () => enrolOn(worldOn(rehearsal)))
    expect(server.certificates).toHaveLength(1)
    expect(whole.reached).toContain('answer /.well-known/est/simpleenroll')

    for (const { at, torn, survival } of cuts(whole.reached)) {
      const where = `cut at ${at} (${whole.reached[at]})${torn ? ', torn' : ''}, ${survival}`
      restore()
      const first = new PowerCutDisk()
      expect(await until(new Fuse(at, torn), first, () => enrolOn(worldOn(first))), where).toBe(true)
      const disk = first.afterCut(survival)
      if (currentNumber({ disk, directory }) !== null) inUse(worldOn(disk))
      await enrolOn(worldOn(disk))
      expect(
        server.certificates.map(({ state }) => state),
        where,
      ).toEqual(['confirmed'])
      expect(inUse(worldOn(disk)).leaf.fingerprint, where).toBe(server.certificates[0]?.fingerprint)
    }
  }, 300_000)
})
