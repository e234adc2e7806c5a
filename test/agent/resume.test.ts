import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AgentError } from '../../src/agent/error.ts'
import { settle } from '../../src/agent/round.ts'
import { flyingClock } from '../fakes/agent-clock.ts'
import { enrolled, goOn, inUse, makeWorld, openFrom, renew, startServer, states, stepOf } from './setup.ts'

describe('a renewal that was cut off', () => {
  it('in the hook runs it again without a network', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world, { hook: ['reload'] })
    world.onHook.run = () => Promise.reject(new AgentError('hook', 'cut'))
    await expect(renew(world)).rejects.toMatchObject({ code: 'hook' })
    world.onHook.run = async () => undefined
    await server.stop()
    expect(await settle(openFrom(world), { hook: 'now' })).toMatchObject({ step: 'confirmed' })
    expect(world.hookCalls).toHaveLength(3)
  })

  it('before the proof, with the old certificate ended meanwhile: the received one is better than none', async () => {
    const clock = flyingClock()
    const server = await startServer({ now: () => clock.now() })
    const world = makeWorld({ clock })
    await enrolled(server, world)
    clock.advance(server.life / 2)
    server.fail('check-in', 'drop')
    await expect(renew(world)).rejects.toMatchObject({ code: 'network' })
    expect(await settle(openFrom(world), { hook: 'now' })).toMatchObject({ step: 'received' })
    expect(inUse(world).number).toBe(1)
    clock.advance(server.life / 2 + 60_000)
    expect(await settle(openFrom(world), { hook: 'now' })).toMatchObject({ step: 'hooked', proof: null })
    expect(inUse(world).number).toBe(2)
    await goOn(world)
    expect(stepOf(world)).toBe('confirmed')
    expect(server.certificates[1]?.state).toBe('confirmed')
  })

  it('finds a damaged new chain and asks for the same certificate again', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('check-in', 'drop')
    await expect(renew(world)).rejects.toThrow()
    const chain = join(world.place.directory, 'pairs/2/chain.pem')
    writeFileSync(chain, readFileSync(chain, 'utf8').slice(0, 900))
    await goOn(world)
    expect(states(server)).toEqual(['superseded', 'confirmed'])
  })

  it('finds a lost new key and begins again', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.fail('simplereenroll', 'drop')
    await expect(renew(world)).rejects.toThrow()
    rmSync(join(world.place.directory, 'pairs/2/key.pem'))
    await renew(world)
    expect(states(server)).toEqual(['superseded', 'confirmed'])
  })

  it('finds a damaged journal and keeps the pair in use', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair } = await enrolled(server, world)
    for (const text of ['', '{"step":', '[]', '{"step":"flown"}']) {
      writeFileSync(join(world.place.directory, 'journal.json'), text)
      await goOn(world)
      expect(inUse(world).leaf.fingerprint).toBe(pair.leaf.fingerprint)
    }
    await renew(world)
    expect(states(server)).toEqual(['superseded', 'confirmed'])
  })
})

describe('a damaged pair in use', () => {
  it('is replaced by the one before it', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    await renew(world)
    rmSync(join(world.place.directory, 'pairs/2'), { recursive: true })
    await expect(goOn(world)).rejects.toThrow(/superseded/)
    expect(inUse(world).number).toBe(1)
    expect(world.messages).toContain('the current pair is damaged; another one takes its place')
  })
})
