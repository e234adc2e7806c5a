import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { parseCertificate } from '../../src/agent/certificate.ts'
import { systemDisk } from '../../src/agent/disk.ts'
import { AgentError } from '../../src/agent/error.ts'
import { runHook } from '../../src/agent/hook.ts'
import { loadJournal, saveJournal } from '../../src/agent/journal.ts'
import { layout } from '../../src/agent/layout.ts'
import { run } from '../../src/agent/run.ts'
import { createOpenSession } from '../../src/agent/transport.ts'
import { flyingClock } from '../fakes/agent-clock.ts'
import { makeAuthority, makeKey, makeLeaf } from '../support/certificates.ts'
import { enrolled, goOn, inUse, makeWorld, openFrom, renew, startServer, stepOf, type TestWorld } from './setup.ts'

const day = 86_400_000

/** What happens to machines that nobody looks after. */

/** Runs the daemon until `done`, looked at after each sleep. */
const runUntil = async (world: TestWorld, done: () => boolean): Promise<void> => {
  const stop = new AbortController()
  const { sleep } = world.clock
  world.clock.sleep = async (duration, signal) => {
    if (done()) stop.abort()
    else await sleep(duration, signal)
  }
  await run(openFrom(world), stop.signal)
  world.clock.sleep = sleep
}

/** A disk that takes nothing while `full`. */
const fillingDisk = () => {
  const state = { full: false }
  const disk = {
    ...systemDisk,
    write: (path: string, bytes: Uint8Array, mode: number) => {
      if (state.full) throw new AgentError('local', `cannot write ${path}: ENOSPC: no space left on device, write`)
      systemDisk.write(path, bytes, mode)
    },
  }
  return { disk, state }
}

describe('a disk', () => {
  it('that fills up stops no daemon: it goes on when there is room again', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now(), life: 4 * day })
    const { disk, state } = fillingDisk()
    const world = makeWorld({ clock, disk })
    await enrolled(server, world)
    const start = clock.now()
    await runUntil(world, () => {
      state.full = clock.now() - start > day && clock.now() - start < 3 * day
      return server.certificates.length > 1
    })
    expect(server.certificates).toHaveLength(2)
    expect(server.calls.length).toBeLessThan(1000)
  })

  it('that is full at the start stops no daemon', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now(), life: 4 * day })
    const { disk, state } = fillingDisk()
    const world = makeWorld({ clock, disk })
    await enrolled(server, world, { hook: ['reload'] })
    const journal = loadJournal(disk, world.place.directory)
    if (journal !== null) saveJournal(disk, world.place.directory, { ...journal, step: 'switched' })
    state.full = true
    const start = clock.now()
    await runUntil(world, () => {
      state.full = clock.now() - start < day
      return stepOf(world) === 'confirmed' && !state.full
    })
    expect(stepOf(world)).toBe('confirmed')
  })

  it('does not fill with the keys of renewals that the server rejects', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    for (let count = 0; count < 5; count += 1) {
      server.fail('simplereenroll', { status: 400 })
      await expect(renew(world)).rejects.toMatchObject({ code: 'rejected' })
    }
    expect(readdirSync(layout.pairs(world.place.directory)).length).toBeLessThanOrEqual(2)
    await renew(world)
    expect(server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
  })
})

describe('a journal that is damaged while the daemon runs', () => {
  it('does not end it', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now(), life: 4 * day })
    const world = makeWorld({ clock })
    await enrolled(server, world)
    await runUntil(world, () => {
      if (clock.naps.length === 3) writeFileSync(layout.journal(world.place.directory), '{')
      return server.certificates.length > 1
    })
    expect(server.certificates).toHaveLength(2)
  })
})

describe('a link to the current pair', () => {
  it('that got lost is put back as the journal says', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    await renew(world)
    const { number } = inUse(world)
    rmSync(layout.current(world.place.directory))
    await goOn(world)
    expect(inUse(world).number).toBe(number)
    expect(server.certificates).toHaveLength(2)
  })

  it('that a copy made into a directory is named with what to do', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    rmSync(layout.current(world.place.directory))
    mkdirSync(layout.current(world.place.directory))
    await expect(goOn(world)).rejects.toThrow(/current.* is no symbolic link.*remove it/)
  })
})

describe('a hook', () => {
  afterEach(() => vi.restoreAllMocks())

  it('that failed under a clock far ahead is tried again once the clock is right', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now(), life: 90 * day })
    const world = makeWorld({ clock })
    await enrolled(server, world, { hook: ['reload'] })
    const { disk, directory } = world.place
    const journal = loadJournal(disk, directory)
    const calls = world.hookCalls.length
    world.onHook.run = async () => {
      if (world.hookCalls.length === calls + 1) throw new AgentError('hook', 'hook reload exited with 1')
    }
    if (journal !== null) {
      const hook = { attempts: 1, error: 'hook reload exited with 1', retryAt: clock.now() + 14 * 365 * day }
      saveJournal(disk, directory, { ...journal, step: 'switched', hook })
    }
    await goOn(world).catch(() => undefined)
    const owed = loadJournal(disk, directory)
    if (owed !== null) {
      const hook = { ...owed.hook, retryAt: clock.now() + 14 * 365 * day }
      world.onHook.run = async () => undefined
      let set = false
      const start = clock.now()
      await runUntil(world, () => {
        if (!set) saveJournal(disk, directory, { ...owed, step: 'switched', hook })
        set = true
        return clock.now() - start > 2 * day || (clock.naps.length > 2 && stepOf(world) === 'confirmed')
      })
      expect(clock.now() - start).toBeLessThan(day)
    }
    expect(stepOf(world)).toBe('confirmed')
  })

  it('that may not be killed, since it runs as somebody else, still counts as failed', async () => {
    const stop = new AbortController()
    const running = runHook({ command: ['/bin/sh', '-c', 'sleep 2'], environment: {}, deadline: stop.signal })
    await new Promise((resolve) => setImmediate(resolve))
    vi.spyOn(process, 'kill').mockImplementation(() => {
      throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' })
    })
    stop.abort()
    await expect(running).rejects.toThrow(/took too long and could not be killed: kill EPERM/)
  })
})

describe('a clock that stood still while the device was off', () => {
  it('and is before the certificate of the listener does not keep the device out', async () => {
    const clock = flyingClock()
    const server = await startServer()
    const world = makeWorld({ clock })
    await enrolled(server, world)
    server.present(server.issuing, { notBefore: Date.now() + 5 * day, notAfter: Date.now() + 35 * day })
    await goOn(world)
    await renew(world)
    expect(server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
  })

  it('lets in no listener of another root and none that has ended', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.present(server.issuing, { notBefore: Date.now() + 5 * day, notAfter: Date.now() + 35 * day, name: 'other' })
    await expect(goOn(world)).rejects.toMatchObject({ code: 'untrusted' })
    const stranger = await startServer()
    server.present(stranger.issuing, { notBefore: Date.now() + 5 * day, notAfter: Date.now() + 35 * day })
    await expect(goOn(world)).rejects.toMatchObject({ code: 'untrusted' })
    server.present(server.issuing, { notBefore: Date.now() - 5 * day, notAfter: Date.now() - day })
    await expect(goOn(world)).rejects.toMatchObject({ code: 'untrusted' })
  })
})

describe('an answer that is none', () => {
  it('is a failure like any other, not an endless wait', async () => {
    const life = { notBefore: Date.now() - day, notAfter: Date.now() + day }
    const authority = makeAuthority({ name: 'Root', ...life })
    const key = makeKey()
    const leaf = makeLeaf({
      issuer: authority,
      subject: 'listener',
      key,
      san: { dns: ['localhost'] },
      eku: ['serverAuth'],
      ...life,
    })
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'
    const server = createServer({ key: leaf.privateKeyPem, cert: leaf.pem }, (socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write(upgrade))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const session = createOpenSession(flyingClock())({
      server: `https://localhost:${(server.address() as AddressInfo).port}`,
      trust: [parseCertificate(authority.der, 'root')],
      timeOverride: null,
      pair: null,
      timeout: 10_000,
    })
    const answer = session.request({ method: 'GET', path: '/' })
    await expect(answer).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/closed without an answer/),
    })
    session.close()
  })
})
