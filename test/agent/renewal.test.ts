import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AgentError } from '../../src/agent/error.ts'
import { loadJournal } from '../../src/agent/journal.ts'
import { renewOnce } from '../../src/agent/renew.ts'
import { flyingClock } from '../fakes/agent-clock.ts'
import type { Fault, Operation } from '../fakes/device-server.ts'
import { enrolled, goOn, inUse, makeWorld, openFrom, renew, startServer, states, stepOf } from './setup.ts'

describe('a renewal', () => {
  it('ends with a new certificate in use, confirmed at the server, and the one before it superseded', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair: first } = await enrolled(server, world)
    expect(await renew(world)).toMatchObject({ renewed: true })
    expect(inUse(world).leaf.fingerprint).not.toBe(first.leaf.fingerprint)
    expect(inUse(world).keyPem).not.toBe(first.keyPem)
    expect(states(server)).toEqual(['superseded', 'confirmed'])
    const steps = ['key-written', 'requested', 'received', 'proven', 'switched', 'hooked', 'confirmed']
    expect(world.messages.filter((message) => steps.includes(message)).slice(-7)).toEqual(steps)
    const current = join(world.place.directory, 'current')
    expect(statSync(join(current, 'key.pem')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(current, 'chain.pem'), 'utf8').match(/BEGIN/g)).toHaveLength(2)
  })

  it('keeps the previous pair and no older one', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    for (let count = 0; count < 3; count += 1) await renew(world)
    expect(readdirSync(join(world.place.directory, 'pairs')).sort()).toEqual(['3', '4'])
  })

  it('is not begun before it is due', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    expect(await goOn(world)).toMatchObject({ renewed: false, verdict: { act: 'wait', reason: 'hint' } })
    expect(server.certificates).toHaveLength(1)
  })

  it('is begun when the server says so', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.hint = ({ predecessor, notAfter }) => ({ now: predecessor === null, at: notAfter - 1, keys: 'rekey' })
    expect(await goOn(world)).toMatchObject({ renewed: true, verdict: { reason: 'told' } })
  })

  it('keeps the key where the policy is to reuse it', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair: first } = await enrolled(server, world)
    server.hint = ({ predecessor, notAfter }) => ({ now: predecessor === null, at: notAfter - 1, keys: 'reuse' })
    await goOn(world)
    expect(inUse(world).keyPem).toBe(first.keyPem)
    expect(inUse(world).leaf.fingerprint).not.toBe(first.leaf.fingerprint)
  })

  it('works with a plain EST server: proven by a handshake, due at two thirds of life', async () => {
    const clock = flyingClock()
    const server = await startServer({ plain: true, now: () => clock.now() })
    const world = makeWorld({ clock })
    await enrolled(server, world)
    expect(await goOn(world)).toMatchObject({ renewed: false, verdict: { reason: 'two-thirds' } })
    clock.advance(server.life * 0.75)
    expect(await goOn(world)).toMatchObject({ renewed: true, verdict: { reason: 'two-thirds' } })
    expect(loadJournal(world.place.disk, world.place.directory)).toMatchObject({
      step: 'confirmed',
      proof: 'handshake',
    })
    expect(server.certificates).toHaveLength(2)
  })

  it('is tried with a certificate that has ended, straight at simplereenroll', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now() })
    const world = makeWorld({ clock })
    await enrolled(server, world)
    clock.advance(server.life + 3_600_000)
    server.calls = []
    expect(await goOn(world)).toMatchObject({ renewed: true, verdict: { reason: 'expired' } })
    expect(server.calls.map(({ operation }) => operation)).toEqual(['cacerts', 'simplereenroll', 'check-in'])
  })
})

describe('a renewal that fails', () => {
  const faults: [Operation, Fault, string][] = [
    ['simplereenroll', 'drop', 'network'],
    ['simplereenroll', 'drop answer', 'network'],
    ['simplereenroll', 'cut', 'network'],
    ['simplereenroll', 'garbage', 'answer'],
    ['simplereenroll', 'huge', 'answer'],
    ['simplereenroll', 'wrong certificate', 'untrusted'],
    ['simplereenroll', { status: 503, retryAfter: '30' }, 'busy'],
    ['simplereenroll', { status: 500 }, 'busy'],
    ['simplereenroll', { status: 401 }, 'refused'],
    ['simplereenroll', { status: 302 }, 'rejected'],
    ['cacerts', 'drop answer', 'network'],
    ['cacerts', 'garbage', 'answer'],
    ['check-in', 'drop', 'network'],
    ['check-in', 'drop answer', 'network'],
    ['check-in', 'cut', 'network'],
    ['check-in', 'garbage', 'answer'],
    ['check-in', { status: 403 }, 'refused'],
    ['check-in', { status: 502 }, 'busy'],
  ]

  it.each(faults)(
    '(%s: %j) leaves the present pair alone and ends with one more certificate',
    async (operation, fault, code) => {
      const server = await startServer()
      const world = makeWorld()
      const { pair: first } = await enrolled(server, world)
      server.fail(operation, fault)
      await expect(renew(world)).rejects.toMatchObject({ code })
      expect(inUse(world).leaf.fingerprint).toBe(first.leaf.fingerprint)
      server.heal()
      await renewOnce(openFrom(world), { force: stepOf(world) === 'confirmed' })
      expect(states(server)).toEqual(['superseded', 'confirmed'])
      expect(inUse(world).leaf.fingerprint).toBe(server.certificates[1]?.fingerprint)
    },
  )

  it('says when the server wants it back', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('simplereenroll', { status: 503, retryAfter: '30' })
    await expect(renew(world)).rejects.toMatchObject({ retryAfter: 30_000 })
    server.fail('simplereenroll', { status: 429, retryAfter: new Date(world.clock.now() + 90_000).toUTCString() })
    const error = await goOn(world).catch((thrown: unknown) => thrown)
    expect((error as AgentError).retryAfter).toBeGreaterThan(80_000)
  })

  it('tells the server at the next contact what went wrong', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('simplereenroll', { status: 503 })
    await expect(renew(world)).rejects.toThrow()
    await goOn(world)
    const errors = server.calls.filter(({ operation }) => operation === 'check-in').map(({ error }) => error)
    expect(errors.at(-1)).toMatch(/simplereenroll: the server answered 503/)
    await goOn(world)
    expect(server.calls.at(-1)?.error).toBeNull()
  })

  it('gives a call that nobody answers its time and no more', async () => {
    const server = await startServer({ life: 8_000 })
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('simplereenroll', 'never')
    await expect(renew(world)).rejects.toThrow(/no answer within 2000 ms/)
  })

  it('reads no more of an answer than it may have', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('cacerts', 'huge')
    await expect(renew(world)).rejects.toThrow(/over 262144 bytes/)
  })

  it('and is given up still owes the hook of the pair before', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world, { hook: ['reload'] })
    world.onHook.run = () => Promise.reject(new AgentError('hook', 'busy'))
    await expect(renew(world)).rejects.toMatchObject({ code: 'hook' })
    server.fail('simplereenroll', { status: 400 })
    await expect(renew(world)).rejects.toMatchObject({ code: 'rejected' })
    expect(stepOf(world)).toBe('switched')
    world.onHook.run = async () => undefined
    const before = world.hookCalls.length
    await goOn(world)
    expect(world.hookCalls.length).toBe(before + 1)
    expect(stepOf(world)).toBe('confirmed')
  })

  it('waits for a slow answer', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('simplereenroll', 'slow')
    await renew(world)
    expect(states(server)).toEqual(['superseded', 'confirmed'])
  })

  it('begins with another key after the request itself was rejected', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('simplereenroll', { status: 400 })
    await expect(renew(world)).rejects.toMatchObject({ code: 'rejected' })
    const refused = readFileSync(join(world.place.directory, 'pairs/2/key.pem'), 'utf8')
    expect(stepOf(world)).toBe('confirmed')
    await renew(world)
    expect(inUse(world).keyPem).not.toBe(refused)
  })

  it('begins with another key after the new pair was refused again and again', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('check-in', { status: 403 }, 5)
    await expect(renew(world)).rejects.toMatchObject({ code: 'refused' })
    for (let count = 0; count < 4; count += 1) await expect(goOn(world)).rejects.toMatchObject({ code: 'refused' })
    expect(stepOf(world)).toBe('confirmed')
    expect(inUse(world).number).toBe(1)
    await renew(world)
    expect(inUse(world).number).toBeGreaterThan(2)
    expect(server.certificates.at(-1)?.state).toBe('confirmed')
  })

  it('is refused to a revoked device, which deletes nothing', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair } = await enrolled(server, world)
    server.revoke(pair.leaf.fingerprint)
    await expect(renew(world)).rejects.toMatchObject({ code: 'refused' })
    await expect(goOn(world)).rejects.toThrow(/revoked/)
    expect(inUse(world).leaf.fingerprint).toBe(pair.leaf.fingerprint)
  })

  it('goes on without a check-in that is broken, once it is due', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now() })
    const world = makeWorld({ clock })
    await enrolled(server, world)
    clock.advance(server.life * 0.75)
    server.fail('check-in', { status: 500 }, 4)
    for (let count = 0; count < 3; count += 1) await expect(goOn(world)).rejects.toMatchObject({ code: 'busy' })
    expect(server.certificates).toHaveLength(1)
    await expect(goOn(world)).rejects.toMatchObject({ code: 'busy' })
    expect(server.certificates).toHaveLength(2)
    expect(await goOn(world)).toMatchObject({ renewed: true })
    expect(states(server)).toEqual(['superseded', 'confirmed'])
  })
})
