import { describe, expect, it } from 'vitest'
import { day, device, gateway, hour, profile, start, token } from '../../support/records.ts'
import { codeOf, freshStore, type OpenStore } from './fresh.ts'

export const deviceContract = (open: OpenStore): void => {
  describe('devices', () => {
    const fresh = freshStore(open)

    it('are read back as they were put', async () => {
      const full = device({
        labels: { site: 'Zürich', 日本: '"\\' },
        lastContactAt: start,
        agentVersion: '1.2',
        lastError: 'x',
      })
      const bare = device({ labels: {} })
      await fresh.write(async (tx) => {
        await tx.devices.put(full)
        await tx.devices.put(bare)
      })
      expect(await fresh.store.devices.get(full.id)).toEqual(full)
      expect(await fresh.store.devices.get(bare.id)).toEqual(bare)
      expect(await fresh.store.devices.get('nobody')).toBeNull()
    })

    it('keep when they came and what they last said when they are put again', async () => {
      const first = device({ lastContactAt: start, agentVersion: '1.0', lastError: 'clock is wrong' })
      const again = device({
        id: first.id,
        profile: 'other',
        labels: { a: 'b' },
        state: 'retired',
        createdAt: start + day,
      })
      await fresh.write((tx) => tx.devices.put(first))
      await fresh.write((tx) => tx.devices.put(again))
      expect(await fresh.store.devices.get(first.id)).toEqual({
        ...first,
        profile: 'other',
        labels: { a: 'b' },
        state: 'retired',
      })
    })

    it('remember a contact; what it does not say stays, and an error is cleared by null', async () => {
      const given = device()
      await fresh.write((tx) => tx.devices.put(given))
      const said = async (contact: { at: number; agentVersion?: string; lastError?: string | null }) => {
        await fresh.write((tx) => tx.devices.recordContact(given.id, contact))
        const found = await fresh.store.devices.get(given.id)
        return [found?.lastContactAt, found?.agentVersion, found?.lastError]
      }
      expect(await said({ at: start, agentVersion: '1.0', lastError: 'disk full' })).toEqual([
        start,
        '1.0',
        'disk full',
      ])
      expect(await said({ at: start + 1 })).toEqual([start + 1, '1.0', 'disk full'])
      expect(await said({ at: start + 2, agentVersion: '1.1' })).toEqual([start + 2, '1.1', 'disk full'])
      expect(await said({ at: start + 3, lastError: null })).toEqual([start + 3, '1.1', null])
    })

    it('are listed by id, page after page, and by state', async () => {
      const states = ['active', 'retired', 'active', 'active', 'retired'] as const
      const given = ['a', 'b', 'c', 'd', 'e'].map((id, index) => device({ id, state: states[index] ?? 'active' }))
      await fresh.write(async (tx) => {
        for (const one of [...given].reverse()) await tx.devices.put(one)
      })
      const ids = async (filter: Parameters<typeof fresh.store.devices.list>[0]) =>
        (await fresh.store.devices.list(filter)).map(({ id }) => id)
      expect(await ids({ limit: 10 })).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(await ids({ limit: 2 })).toEqual(['a', 'b'])
      expect(await ids({ limit: 2, after: 'b' })).toEqual(['c', 'd'])
      expect(await ids({ limit: 2, after: 'e' })).toEqual([])
      expect(await ids({ limit: 10, state: 'retired' })).toEqual(['b', 'e'])
      expect(await ids({ limit: 1, state: 'active', after: 'a' })).toEqual(['c'])
    })
  })

  describe('enrolment tokens', () => {
    const fresh = freshStore(open)

    it('are read back, and are there once only', async () => {
      const given = token()
      await fresh.write((tx) => tx.tokens.insert(given))
      expect(await fresh.store.tokens.get(given.hash)).toEqual(given)
      expect(await fresh.store.tokens.get('00')).toBeNull()
      expect(await codeOf(fresh.write((tx) => tx.tokens.insert(token({ hash: given.hash }))))).toBe('conflict')
      expect(await fresh.store.tokens.get(given.hash)).toEqual(given)
    })

    it('are used by the first alone, however many try at once', async () => {
      const given = token()
      await fresh.write((tx) => tx.tokens.insert(given))
      const tries = Array.from({ length: 10 }, (_, index) =>
        fresh.write((tx) => tx.tokens.use(given.hash, start + index)),
      )
      expect(await Promise.all(tries)).toEqual([true, ...Array.from({ length: 9 }, () => false)])
      expect((await fresh.store.tokens.get(given.hash))?.usedAt).toBe(start)
      expect(await fresh.write((tx) => tx.tokens.use('00', start))).toBe(false)
    })

    it('are pruned when they expired before the given instant, used or not', async () => {
      const old = token({ expiresAt: start - 1 })
      const used = token({ expiresAt: start - hour, usedAt: start - hour })
      const last = token({ expiresAt: start })
      await fresh.write(async (tx) => {
        for (const one of [old, used, last]) await tx.tokens.insert(one)
      })
      expect(await fresh.write((tx) => tx.tokens.prune(start))).toBe(2)
      expect(await fresh.store.tokens.get(old.hash)).toBeNull()
      expect(await fresh.store.tokens.get(last.hash)).toEqual(last)
      expect(await fresh.write((tx) => tx.tokens.prune(start))).toBe(0)
    })
  })

  describe('profiles and gateways', () => {
    const fresh = freshStore(open)

    it('have a new version of a profile where it differs, and none where only the order of its keys does', async () => {
      const given = profile()
      const { name, ...rest } = given
      const reordered = { ...Object.fromEntries(Object.entries(rest).reverse()), name } as typeof given
      const record = (one: typeof given) => fresh.write((tx) => tx.profiles.record(one, start))
      expect(await fresh.store.profiles.latest('device')).toBeNull()
      expect(await record(given)).toBe(1)
      expect(await record(reordered)).toBe(1)
      expect(await record({ ...given, validity: day })).toBe(2)
      expect(await record({ ...given, name: 'listener' })).toBe(1)
      expect(await record(given)).toBe(3)
      expect(await fresh.store.profiles.latest('device')).toEqual({ version: 3, profile: given })
    })

    it('have one record a gateway, replaced as a whole', async () => {
      const first = gateway({ name: 'b' })
      const later = gateway({
        name: 'b',
        state: 'current',
        truststoreVersion: 4,
        truststoreDigest: 'aa',
        crlDigest: 'bb',
        message: 'reloaded',
        updatedAt: start + 1,
      })
      await fresh.write((tx) => tx.gateways.put(first))
      await fresh.write((tx) => tx.gateways.put(gateway({ name: 'a' })))
      expect(await fresh.store.gateways.get('b')).toEqual(first)
      await fresh.write((tx) => tx.gateways.put(later))
      expect(await fresh.store.gateways.get('b')).toEqual(later)
      expect((await fresh.store.gateways.list()).map(({ name }) => name)).toEqual(['a', 'b'])
      expect(await fresh.store.gateways.get('c')).toBeNull()
    })
  })
}
