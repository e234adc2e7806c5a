import { describe, expect, it } from 'vitest'
import { anchor, crl, start, truststore } from '../../support/records.ts'
import { codeOf, freshStore, type OpenStore } from './fresh.ts'

export const publishedContract = (open: OpenStore): void => {
  describe('CRL records', () => {
    const fresh = freshStore(open)
    const put = (change: Parameters<typeof crl>[0]) => fresh.write((tx) => tx.crls.put(crl(change)))

    it('are one a shard, and their number only grows', async () => {
      const first = crl({ number: 5n })
      await fresh.write((tx) => tx.crls.put(first))
      expect(await codeOf(put({ number: 5n }))).toBe('conflict')
      expect(await codeOf(put({ number: 4n }))).toBe('conflict')
      expect(await fresh.store.crls.get('issuing-g1', 0)).toEqual(first)
      const next = crl({ number: 6n, thisUpdate: start + 1, nextUpdate: start + 2, entries: 9 })
      await fresh.write((tx) => tx.crls.put(next))
      expect(await fresh.store.crls.get('issuing-g1', 0)).toEqual(next)
    })

    it('say both numbers when one does not grow', async () => {
      await put({ number: 1_800_000_000_123n })
      await expect(put({ number: 7n })).rejects.toThrow(/number 7 .*1800000000123/)
    })

    it('keep numbers beyond 2^53 exactly, and refuse those beyond 63 bits', async () => {
      const large = 2n ** 63n - 1n
      await put({ number: large - 1n })
      expect(await codeOf(put({ number: large - 1n }))).toBe('conflict')
      await put({ number: large })
      expect((await fresh.store.crls.get('issuing-g1', 0))?.number).toBe(large)
      expect(await codeOf(put({ number: large + 1n }))).toBe('bad-input')
      expect(await codeOf(put({ number: -1n }))).toBe('bad-input')
    })

    it('are listed by authority and shard', async () => {
      await put({ authority: 'root-g1' })
      await put({ authority: 'issuing-g1', shard: 1 })
      await put({ authority: 'issuing-g1', shard: 0 })
      const listed = (await fresh.store.crls.list()).map(({ authority, shard }) => `${authority}/${shard}`)
      expect(listed).toEqual(['issuing-g1/0', 'issuing-g1/1', 'root-g1/0'])
      expect(await fresh.store.crls.get('root-g1', 1)).toBeNull()
    })
  })

  describe('trust anchors', () => {
    const fresh = freshStore(open)

    it('are inserted once, in the order in which they came, and change their state', async () => {
      const [first, second] = [anchor(), anchor({ addedAt: start + 1, source: 'partner', state: 'incoming' })]
      await fresh.write(async (tx) => {
        await tx.anchors.insert(second)
        await tx.anchors.insert(first)
        await tx.anchors.insert({ ...first, state: 'retired', subject: 'CN=other' })
      })
      expect(await fresh.store.anchors.list()).toEqual([first, second])
      await fresh.write((tx) => tx.anchors.setState(second.fingerprint, 'active'))
      expect(await fresh.store.anchors.list()).toEqual([first, { ...second, state: 'active' }])
      expect(await codeOf(fresh.write((tx) => tx.anchors.setState('00', 'retired')))).toBe('not-found')
    })
  })

  describe('truststores', () => {
    const fresh = freshStore(open)

    it('are kept by version, newest first, each version once', async () => {
      expect(await fresh.store.truststores.latest()).toBeNull()
      const given = [1, 2, 3].map((version) => truststore({ version }))
      await fresh.write(async (tx) => {
        for (const one of given) await tx.truststores.insert(one)
      })
      expect(await fresh.store.truststores.latest()).toEqual(given[2])
      expect(await fresh.store.truststores.get(1)).toEqual(given[0])
      expect(await fresh.store.truststores.get(4)).toBeNull()
      expect((await fresh.store.truststores.list(2)).map(({ version }) => version)).toEqual([3, 2])
      expect(await codeOf(fresh.write((tx) => tx.truststores.insert(truststore({ version: 3 }))))).toBe('conflict')
      expect(await fresh.store.truststores.get(3)).toEqual(given[2])
    })
  })
}
