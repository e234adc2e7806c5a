import { describe, expect, it } from 'vitest'
import { day, event, start } from '../../support/records.ts'
import { freshStore, type OpenStore } from './fresh.ts'

export const eventContract = (open: OpenStore): void => {
  describe('events', () => {
    const fresh = freshStore(open)

    it('get a growing sequence and an id of their own, and are read back in order', async () => {
      const given = [event({ detail: {} }), event({ detail: { list: [1, null, { deep: 'ü' }] } }), event()]
      const appended = await fresh.append(...given)
      const sequences = appended.map(({ sequence }) => sequence)
      expect(sequences).toEqual([...sequences].sort((a, b) => a - b))
      expect(new Set(appended.map(({ id }) => id)).size).toBe(3)
      for (const { id } of appended) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      expect(appended.map(({ sequence, id, ...rest }) => rest)).toEqual(given)
      expect(await fresh.store.events.after(0, 10)).toEqual(appended)
    })

    it('are read after a sequence, and from the end', async () => {
      const appended = await fresh.append(event(), event(), event(), event())
      const second = appended[1]?.sequence ?? 0
      expect(await fresh.store.events.after(second, 10)).toEqual(appended.slice(2))
      expect(await fresh.store.events.after(second, 1)).toEqual(appended.slice(2, 3))
      expect(await fresh.store.events.tail(2)).toEqual(appended.slice(2))
      expect(await fresh.store.events.after(appended[3]?.sequence ?? 0, 10)).toEqual([])
    })

    it('know what a subject was told last, among the given types', async () => {
      const appended = await fresh.append(
        event({ subject: 'a', detailType: 'CRL Stale' }),
        event({ subject: 'a', detailType: 'CRL Published' }),
        event({ subject: 'b', detailType: 'CRL Stale' }),
        event({ subject: 'a', detailType: 'Gateway Updated' }),
      )
      const latest = (subject: string, ...types: string[]) => fresh.store.events.latest(subject, types)
      expect(await latest('a', 'CRL Stale', 'CRL Published')).toEqual(appended[1])
      expect(await latest('a', 'CRL Published', 'CRL Stale')).toEqual(appended[1])
      expect(await latest('a', 'CRL Stale')).toEqual(appended[0])
      expect(await latest('a', 'Certificate Issued')).toBeNull()
      expect(await latest('c', 'CRL Stale')).toBeNull()
      expect(await latest('a')).toBeNull()
    })

    it('have a cursor for each sink, from 0', async () => {
      expect(await fresh.store.events.cursor('log')).toBe(0)
      await fresh.write(async (tx) => {
        await tx.events.setCursor('log', 7)
        await tx.events.setCursor('hook', 3)
        await tx.events.setCursor('log', 9)
      })
      expect(await fresh.store.events.cursor('log')).toBe(9)
      expect(await fresh.store.events.cursor('hook')).toBe(3)
    })

    it('never give a sequence twice, even when all before were pruned', async () => {
      const [first] = await fresh.append(event({ time: start - day }))
      await fresh.write((tx) => tx.events.prune(start, []))
      expect(await fresh.store.events.tail(1)).toEqual([])
      const [second] = await fresh.append(event())
      expect(second?.sequence).toBeGreaterThan(first?.sequence ?? 0)
    })

    it('are pruned when they are old and every sink has passed them', async () => {
      const appended = await fresh.append(
        event({ time: start - 3 * day }),
        event({ time: start + day }),
        event({ time: start - day }),
        event({ time: start - day }),
        event({ time: start }),
      )
      const sequence = (index: number) => appended[index]?.sequence ?? 0
      const prune = (...sinks: string[]) => fresh.write((tx) => tx.events.prune(start, sinks))
      expect(await prune('log', 'hook')).toBe(0)
      await fresh.write(async (tx) => {
        await tx.events.setCursor('log', sequence(4))
        await tx.events.setCursor('hook', sequence(2))
      })
      expect(await prune('log', 'hook')).toBe(2)
      expect((await fresh.store.events.tail(9)).map((one) => one.sequence)).toEqual([1, 3, 4].map(sequence))
      expect(await prune('log')).toBe(1)
      expect(await prune()).toBe(0)
    })
  })
}
