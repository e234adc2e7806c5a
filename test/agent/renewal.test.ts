import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { renewOnce } from '../../src/agent/renew.ts'
import { enrolled, inUse, makeWorld, openFrom, startServer } from './setup.ts'

describe('a renewal', () => {
  it('ends with a new certificate in use, confirmed at the server, and the one before it superseded', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair: first } = await enrolled(server, world)
    const { renewed } = await renewOnce(openFrom(world), { force: true })
    expect(renewed).toBe(true)
    expect(inUse(world).leaf.fingerprint).not.toBe(first.leaf.fingerprint)
    expect(server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
    expect(world.messages.filter((message) => /^[a-z-]+$/.test(message)).slice(-7)).toEqual([
      'key-written',
      'requested',
      'received',
      'proven',
      'switched',
      'hooked',
      'confirmed',
    ])
    const key = join(world.place.directory, 'current', 'key.pem')
    expect(statSync(key).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(world.place.directory, 'current', 'chain.pem'), 'utf8').match(/BEGIN/g)).toHaveLength(2)
  })
})
