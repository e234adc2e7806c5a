import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { enrolled, goOn, makeWorld, renew, startServer, states } from './setup.ts'

describe('trust anchors', () => {
  const span = () => ({ notBefore: Date.now() - 1_000_000, notAfter: Date.now() + 1_000_000_000 })

  it('follow the server by its tag, and the hook hears of it', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world, { hook: ['reload'] })
    const next = makeAuthority({ name: 'Next Root', ...span() })
    server.trustAnchors = { tag: 'tag-2', pem: server.root.pem + next.pem }
    server.calls = []
    await goOn(world)
    const anchors = readFileSync(join(world.place.directory, 'trust-anchors.pem'), 'utf8')
    expect(anchors).toBe(server.root.pem + next.pem)
    expect(world.hookCalls).toHaveLength(2)
    await goOn(world)
    expect(server.calls.filter(({ operation }) => operation === 'trust-anchors')).toHaveLength(1)
    expect(world.hookCalls).toHaveLength(2)
  })

  it('carry a device over a change of root', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    const next = makeAuthority({ name: 'Next Root', ...span() })
    server.trustAnchors = { tag: 'both', pem: server.root.pem + next.pem }
    await goOn(world)
    server.present(next)
    server.trustAnchors = { tag: 'next', pem: next.pem }
    await goOn(world)
    expect(readFileSync(join(world.place.directory, 'trust-anchors.pem'), 'utf8')).toBe(next.pem)
    await goOn(world)
  })

  it('stay as they are when the offered ones would lock the device out, are none, or cannot be read', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    const stranger = makeAuthority({ name: 'Stranger', ...span() })
    for (const [tag, pem] of [
      ['a', stranger.pem],
      ['b', ''],
      ['c', server.root.pem.slice(0, 300)],
      ['d', server.issuing.pem],
    ] as const) {
      server.trustAnchors = { tag, pem }
      await expect(goOn(world)).rejects.toThrow()
      expect(readFileSync(join(world.place.directory, 'trust-anchors.pem'), 'utf8')).toBe(server.root.pem)
    }
    await renew(world)
    expect(states(server)).toEqual(['superseded', 'confirmed'])
  })
})
