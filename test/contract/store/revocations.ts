import { describe, expect, it } from 'vitest'
import type { Revocation } from '../../../src/model.ts'
import type { CrlRow, CrlSpan } from '../../../src/store/store.ts'
import { day, revocation, start } from '../../support/records.ts'
import { freshStore, type OpenStore } from './fresh.ts'

export const revocationContract = (open: OpenStore): void => {
  describe('revocations', () => {
    const fresh = freshStore(open)
    const insert = (...given: Revocation[]) =>
      fresh.write(async (tx) => {
        const outcomes: boolean[] = []
        for (const one of given) outcomes.push(await tx.revocations.insert(one))
        return outcomes
      })
    const forCrl = async (previousThisUpdate: number | null, authority = 'issuing-g1', shard = 0) => {
      const { mark, chunks } = await fresh.store.revocations.forCrl(authority, shard, previousThisUpdate)
      const entries: CrlRow[] = []
      for await (const chunk of chunks) entries.push(...chunk)
      return { mark, entries, serials: entries.map(({ serial }) => serial) }
    }
    const entryOf = ({ serial, revokedAt, reason }: Revocation): CrlRow => ({ serial, revokedAt, reason })
    const mark = (number: bigint, upTo: number) =>
      fresh.write((tx) => tx.revocations.markPublished('issuing-g1', 0, number, upTo))
    const unpublished = () => fresh.store.revocations.countUnpublished('issuing-g1', 0)

    it('are final: the first of a certificate stands', async () => {
      const given = revocation({ crlShard: 0 })
      expect(await insert(given)).toEqual([true])
      expect(await insert({ ...given, reason: 'superseded', revokedAt: start })).toEqual([false])
      expect(await insert({ ...given, crlShard: 3 })).toEqual([false])
      expect(await fresh.store.revocations.get(given)).toEqual(given)
      expect(await insert({ ...given, authority: 'issuing-g2' })).toEqual([true])
      expect(await fresh.store.revocations.get({ authority: 'issuing-g1', serial: '00' })).toBeNull()
    })

    it('of one shard come by serial, and no other shard gets them', async () => {
      const given = Array.from({ length: 20 }, () => revocation())
      await insert(...given, revocation({ crlShard: 1 }), revocation({ authority: 'issuing-g2' }))
      const { serials } = await forCrl(null)
      expect(serials).toEqual(given.map(({ serial }) => serial).sort())
      expect((await forCrl(null, 'issuing-g1', 2)).entries).toEqual([])
    })

    it('come in chunks that together hold each once, also when they are very many', async () => {
      const total = 25_000
      const given = Array.from({ length: total }, () => revocation())
      await insert(...given)
      const { chunks } = await fresh.store.revocations.forCrl('issuing-g1', 0, null)
      let most = 0
      const seen: string[] = []
      for await (const chunk of chunks) {
        most = Math.max(most, chunk.length)
        seen.push(...chunk.map(({ serial }) => serial))
      }
      expect(most).toBeLessThan(total)
      expect(seen).toEqual(given.map(({ serial }) => serial).sort())
    })

    it('stay in the CRL until one was published past the expiry of the certificate (RFC 5280 §3.3)', async () => {
      const given = revocation({ notAfter: start })
      await insert(given)
      const first = await forCrl(start - day)
      expect(first.entries).toEqual([entryOf(given)])
      await mark(1n, first.mark)
      expect((await forCrl(start - day)).serials).toEqual([given.serial])
      expect((await forCrl(start)).serials).toEqual([given.serial])
      expect((await forCrl(start + 1)).serials).toEqual([])
      expect((await forCrl(null)).serials).toEqual([given.serial])
    })

    it('come into a CRL however long the certificate is expired, as long as none held them', async () => {
      const given = revocation({ notAfter: start - 100 * day })
      await insert(given)
      expect((await forCrl(start)).serials).toEqual([given.serial])
    })

    it('are marked with the first CRL that held them', async () => {
      const [early, late] = [revocation(), revocation()]
      await insert(early)
      await mark(10n, (await forCrl(null)).mark)
      await insert(late)
      await mark(11n, (await forCrl(null)).mark)
      await mark(12n, (await forCrl(null)).mark)
      expect((await fresh.store.revocations.get(early))?.publishedIn).toBe(10n)
      expect((await fresh.store.revocations.get(late))?.publishedIn).toBe(11n)
    })

    it('are not taken for published when they came after the CRL was read', async () => {
      const [before, during] = [revocation(), revocation({ notAfter: start - day })]
      await insert(before)
      const read = await fresh.store.revocations.forCrl('issuing-g1', 0, start)
      await insert(during)
      const held: string[] = []
      for await (const chunk of read.chunks) held.push(...chunk.map(({ serial }) => serial))
      await mark(10n, read.mark)
      expect(held).toEqual([before.serial])
      expect(await fresh.store.revocations.get(during)).toEqual(during)
      expect(await unpublished()).toBe(1)
      expect((await forCrl(start + day)).serials).toContain(during.serial)
    })

    it('stay marked when a slower publisher marks less', async () => {
      const given = [revocation(), revocation()]
      await insert(...given.slice(0, 1))
      const slow = await forCrl(null)
      await insert(...given.slice(1))
      const fast = await forCrl(null)
      await mark(20n, fast.mark)
      await mark(21n, slow.mark)
      expect(await unpublished()).toBe(0)
      for (const one of given) expect((await fresh.store.revocations.get(one))?.publishedIn).toBe(20n)
    })

    describe('told as changes since a CRL was built', () => {
      const shard = { authority: 'issuing-g1', shard: 0 }
      const built = async (number: bigint, previousThisUpdate: number | null) => {
        const read = await fresh.store.revocations.forCrl('issuing-g1', 0, previousThisUpdate)
        await mark(number, read.mark)
        return { mark: read.mark, published: read.published, previousThisUpdate }
      }
      const changes = (then: CrlSpan, previousThisUpdate: number, limit = 10) =>
        fresh.store.revocations.changesForCrl(shard, then, previousThisUpdate, limit)

      it('are what came, what may be left out, and how many there must be', async () => {
        const kept = revocation()
        const ending = revocation({ notAfter: start })
        const late = revocation({ notAfter: start - 2 * day })
        await insert(kept, ending, late)
        const then = await built(1n, start - day)
        expect(await changes(then, start - day)).toEqual({ mark: 3, count: 2, added: [], dropped: [late.serial] })
        const coming = [revocation(), revocation({ notAfter: start - 9 * day })]
        const known = [revocation({ publishedIn: 3n }), revocation({ publishedIn: 3n, notAfter: start - day })]
        await insert(...coming, ...known, revocation({ crlShard: 1 }))
        const now = await changes(then, start + 1)
        const added = [...coming, ...known.slice(0, 1)].map(entryOf)
        expect(now?.added).toEqual(added.sort((left, right) => (left.serial < right.serial ? -1 : 1)))
        expect(now?.dropped).toEqual([ending.serial, late.serial].sort())
        expect(now?.mark).toBe(7)
        expect(now?.count).toBe((await forCrl(start + 1)).serials.length)
      })

      it('are not told where another mark was published last, or the time went back', async () => {
        await insert(revocation())
        const then = await built(1n, start)
        expect(await changes(then, start)).not.toBeNull()
        expect(await changes(then, start - 1)).toBeNull()
        await insert(revocation())
        await built(2n, start)
        expect(await changes(then, start)).toBeNull()
      })

      it('are not told where they are too many', async () => {
        await insert(revocation(), revocation({ notAfter: start }), revocation({ notAfter: start }))
        const first = await built(1n, start)
        expect(await changes(first, start, 3)).not.toBeNull()
        expect(await changes(first, start, 2)).toBeNull()
        const then = await built(2n, start)
        expect(await changes(then, start + 1, 2)).not.toBeNull()
        expect(await changes(then, start + 1, 1)).toBeNull()
        await insert(revocation(), revocation())
        expect(await changes(then, start, 2)).not.toBeNull()
        expect(await changes(then, start, 1)).toBeNull()
      })
    })

    it('are counted while unpublished', async () => {
      await insert(revocation(), revocation(), revocation({ crlShard: 1 }), revocation({ publishedIn: 3n }))
      expect(await unpublished()).toBe(2)
      await mark(10n, (await forCrl(null)).mark)
      expect(await unpublished()).toBe(0)
      await insert(revocation())
      expect(await unpublished()).toBe(1)
    })

    it('may be known to be published when they are inserted, and hide no other that is not', async () => {
      const waiting = revocation({ notAfter: start - day })
      const adopted = revocation({ publishedIn: 2n ** 62n + 1n, notAfter: start - day })
      await insert(waiting, adopted)
      expect(await fresh.store.revocations.get(adopted)).toEqual(adopted)
      expect((await forCrl(start)).serials).toEqual([waiting.serial])
    })

    it('are pruned when they were published and the certificate expired before the instant', async () => {
      const gone = revocation({ notAfter: start - 1 })
      const edge = revocation({ notAfter: start })
      const other = revocation({ notAfter: start - 1, crlShard: 1 })
      await insert(gone, edge, other)
      await mark(10n, (await forCrl(null)).mark)
      const waiting = revocation({ notAfter: start - 1 })
      await insert(waiting)
      const prune = () => fresh.write((tx) => tx.revocations.prune('issuing-g1', 0, start))
      expect(await prune()).toBe(1)
      expect(await prune()).toBe(0)
      expect((await forCrl(null)).serials).toEqual([edge.serial, waiting.serial].sort())
      expect((await fresh.store.revocations.get(edge))?.publishedIn).toBe(10n)
      expect(await unpublished()).toBe(1)
    })

    it('are still told apart when all that was published is pruned', async () => {
      await insert(revocation({ notAfter: start - 1 }))
      const slow = await forCrl(null)
      await mark(10n, slow.mark)
      await fresh.write((tx) => tx.revocations.prune('issuing-g1', 0, start))
      const fresher = revocation()
      await insert(fresher)
      await mark(11n, slow.mark)
      expect(await unpublished()).toBe(1)
      expect((await fresh.store.revocations.get(fresher))?.publishedIn).toBeNull()
    })
  })
}
