import { describe, expect, it } from 'vitest'
import { AgentError } from '../../src/agent/error.ts'
import { loadJournal } from '../../src/agent/journal.ts'
import { run } from '../../src/agent/run.ts'
import { type FlyingClock, flyingClock } from '../fakes/agent-clock.ts'
import type { DeviceServer, DeviceServerOptions } from '../fakes/device-server.ts'
import { enrolled, inUse, makeWorld, openFrom, startServer, type TestWorld } from './setup.ts'

const day = 86_400_000

interface Fleet {
  server: DeviceServer
  world: TestWorld
  clock: FlyingClock
}

/** A server and an agent that live on one flying clock. */
const together = async (options: DeviceServerOptions = {}, hook: string[] | null = null): Promise<Fleet> => {
  const clock = flyingClock({ fraction: () => Math.random() })
  const server = await startServer({ now: () => clock.now(), ...options })
  const world = makeWorld({ clock })
  await enrolled(server, world, { hook })
  return { server, world, clock }
}

/** Runs the daemon until `done`, looked at after each sleep. */
const runUntil = async ({ world, clock }: Fleet, done: () => boolean): Promise<void> => {
  const stop = new AbortController()
  const { sleep } = clock
  clock.sleep = async (duration, signal) => {
    if (done()) stop.abort()
    else await sleep(duration, signal)
  }
  await run(openFrom(world), stop.signal)
  clock.sleep = sleep
}

const failures = ({ world }: Fleet) => world.messages.filter((message) => message.startsWith('failed')).length
/** Times of the server's certificates as a fraction of the life of the one before. */
const pace = ({ certificates, life }: DeviceServer) =>
  certificates.slice(1).map(({ notBefore }, index) => (notBefore - (certificates[index]?.notBefore ?? 0)) / life)

describe('the daemon', () => {
  it('renews again and again at the hint of the server, never late', async () => {
    const fleet = await together({ life: 4 * day })
    await runUntil(fleet, () => fleet.server.certificates.length > 4)
    for (const fraction of pace(fleet.server)) expect(fraction).toBeCloseTo(2 / 3, 2)
    expect(failures(fleet)).toBe(0)
    expect(fleet.world.messages).toContain('stopped')
  })

  it('renews at two thirds of life at a plain EST server, and asks nothing in between', async () => {
    const fleet = await together({ life: 30 * day, plain: true })
    fleet.server.calls = []
    await runUntil(fleet, () => fleet.server.certificates.length > 3)
    for (const fraction of pace(fleet.server)) {
      expect(fraction).toBeGreaterThan(0.6)
      expect(fraction).toBeLessThan(0.72)
    }
    expect(fleet.server.calls.length).toBeLessThan(15)
  })

  it('keeps certificates of seconds alive', async () => {
    const fleet = await together({ life: 20_000 })
    await runUntil(fleet, () => fleet.server.certificates.length > 5)
    for (const fraction of pace(fleet.server)) expect(fraction).toBeLessThan(0.85)
  })

  it('never sleeps longer than a minute, so that a jump of the clock is seen', async () => {
    const fleet = await together({ life: 90 * day })
    await runUntil(fleet, () => fleet.clock.naps.length > 2_000)
    expect(Math.max(...fleet.clock.naps)).toBeLessThanOrEqual(60_000)
  })

  it('wakes after a jump forwards and renews what fell due meanwhile', async () => {
    const fleet = await together({ life: 90 * day })
    let before = 0
    await runUntil(fleet, () => {
      if (fleet.clock.naps.length === 10) {
        fleet.clock.jump(70 * day)
        before = fleet.clock.naps.length
      }
      return fleet.server.certificates.length > 1
    })
    expect(fleet.clock.naps.length - before).toBeLessThan(5)
  })

  it('does not sleep through a jump backwards', async () => {
    const fleet = await together({ life: 4 * day })
    let jumpedAt = 0
    let calls = 0
    await runUntil(fleet, () => {
      const { naps } = fleet.clock
      if (jumpedAt === 0 && naps.length > 2_000) {
        fleet.clock.jump(-day)
        jumpedAt = naps.length
        calls = fleet.server.calls.length
      }
      return jumpedAt > 0 && fleet.server.calls.length > calls
    })
    expect(fleet.clock.naps.length - jumpedAt).toBeLessThan(8 * 60)
  })

  it('comes back by itself after an outage of the server, without a fixed period', async () => {
    const fleet = await together({ life: 90 * day })
    fleet.server.fail('check-in', 'drop', 40)
    await runUntil(fleet, () => failures(fleet) >= 40 && fleet.server.calls.length > 6)
    const waits = fleet.world.details.map(({ next }) => Date.parse(String(next))).filter((time) => !Number.isNaN(time))
    const gaps = waits.slice(1).map((time, index) => time - (waits[index] ?? 0))
    expect(new Set(gaps.slice(10).map((gap) => Math.round(gap / 1000))).size).toBeGreaterThan(15)
    expect(Math.max(...gaps)).toBeLessThan(31 * 60_000)
    expect(openFrom(fleet.world).memory()).toMatchObject({ failures: 0, retryAt: null, lastError: { code: 'network' } })
  })

  it('renews after an outage that lasted past the slot', async () => {
    const fleet = await together({ life: 4 * day })
    const start = fleet.clock.now()
    const down = () => fleet.clock.now() - start < 3.5 * day
    const { openSession } = fleet.world
    fleet.world.openSession = (options) => {
      if (down()) throw new AgentError('network', 'no route')
      return openSession(options)
    }
    await runUntil(fleet, () => fleet.server.certificates.length > 1)
    expect(pace(fleet.server)[0]).toBeLessThan(3.6 / 4)
  })

  it('keeps trying slowly with a certificate that has ended, and recovers', async () => {
    const fleet = await together({ life: 2 * day })
    const start = fleet.clock.now()
    const { openSession } = fleet.world
    fleet.world.openSession = (options) => {
      if (fleet.clock.now() - start < 3 * day) throw new AgentError('network', 'no route')
      return openSession(options)
    }
    await runUntil(fleet, () => fleet.server.certificates.length > 1)
    expect(fleet.server.certificates.at(-1)?.state).toBe('confirmed')
  })

  it('keeps trying slowly when it is revoked, says so, deletes nothing', async () => {
    const fleet = await together({ life: 90 * day })
    const { fingerprint } = inUse(fleet.world).leaf
    fleet.server.revoke(fingerprint)
    const start = fleet.clock.now()
    await runUntil(fleet, () => fleet.clock.now() - start > 5 * day)
    expect(failures(fleet)).toBeGreaterThan(10)
    expect(failures(fleet)).toBeLessThan(120)
    expect(fleet.world.details.some(({ code, reason }) => code === 'refused' && /revoked/.test(String(reason)))).toBe(
      true,
    )
    expect(inUse(fleet.world).leaf.fingerprint).toBe(fingerprint)
  })

  it('retries a hook with backoff until it succeeds, while everything else goes on', async () => {
    const fleet = await together({ life: 4 * day }, ['reload'])
    let left = 6
    fleet.world.onHook.run = async () => {
      left -= 1
      if (left > 0) throw new AgentError('hook', 'hook reload exited with 1')
    }
    const { place } = fleet.world
    const seen = new Set<number>()
    await runUntil(fleet, () => {
      const journal = loadJournal(place.disk, place.directory)
      if (journal?.hook.error) seen.add(journal.hook.attempts)
      return fleet.server.certificates.length > 1 && left <= 0 && journal?.step === 'confirmed'
    })
    expect([...seen]).toEqual(expect.arrayContaining([1, 2, 3, 4]))
    expect(fleet.server.certificates).toHaveLength(2)
    expect(failures(fleet)).toBe(0)
  })

  it('renews although the hook never succeeds', async () => {
    const fleet = await together({ life: 2 * day }, ['reload'])
    fleet.world.onHook.run = async () => {
      throw new AgentError('hook', 'hook reload exited with 1')
    }
    await runUntil(fleet, () => fleet.server.certificates.length > 3)
    for (const fraction of pace(fleet.server)) expect(fraction).toBeLessThan(0.75)
  })

  it('is not driven round and round by a server that always says to renew now', async () => {
    const fleet = await together({ life: 90 * day })
    fleet.server.hint = ({ notAfter }) => ({ now: true, at: notAfter - 1, keys: 'rekey' })
    const start = fleet.clock.now()
    await runUntil(fleet, () => fleet.clock.now() - start > 3 * day)
    expect(fleet.server.certificates.length).toBeLessThan(20)
  })

  it('says that the clock is wrong, and renews by what signatures prove', async () => {
    const fleet = await together({ life: 90 * day })
    fleet.server.hint = ({ predecessor, notAfter }) => ({ now: predecessor === null, at: notAfter - 1, keys: 'rekey' })
    fleet.clock.jump(-50 * 365 * day)
    Object.assign(fleet.server, { now: Date.now })
    await runUntil(fleet, () => fleet.server.certificates.length > 1)
    expect(fleet.world.messages).toContain('the clock is wrong: signatures prove a later time, which is used instead')
    expect(fleet.server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
  })

  it('does not start without a certificate', async () => {
    const server = await startServer()
    const world = makeWorld()
    server.fail('simpleenroll', 'drop')
    await enrolled(server, world).catch(() => undefined)
    await expect(run(openFrom(world), new AbortController().signal)).rejects.toThrow(/run enroll first/)
  })
})
