import { describe, expect, it } from 'vitest'
import type { EventRecord } from '../../../src/model.ts'
import { day, event, start } from '../../support/records.ts'
import { freshStore, type OpenStore } from './fresh.ts'

export const parkedEventContract = (open: OpenStore): void => {
  describe('parked events', () => {
    const fresh = freshStore(open)
    const park = (sink: string, one: EventRecord | undefined, nextAttemptAt: number, attempts = 1) =>
      fresh.write(async (tx) => {
        if (one) await tx.events.park(sink, { event: one, attempts, nextAttemptAt, reason: `refused ${attempts}` })
      })
    const due = async (sink: string, now: number, limit = 10) =>
      (await fresh.store.events.parkedDue(sink, now, limit)).map(({ event }) => event.sequence)

    it('tell the event, how often it was tried, when again, and why', async () => {
      const [one] = await fresh.append(event())
      await park('hook', one, start)
      expect(await fresh.store.events.parkedDue('hook', start, 10)).toEqual([
        { event: one, attempts: 1, nextAttemptAt: start, reason: 'refused 1' },
      ])
      await park('hook', one, start + day, 2)
      expect(await fresh.store.events.parkedDue('hook', start, 10)).toEqual([])
      expect(await fresh.store.events.parkedDue('hook', start + day, 10)).toEqual([
        { event: one, attempts: 2, nextAttemptAt: start + day, reason: 'refused 2' },
      ])
    })

    it('come due with all later ones of their subject, in order, when the first of it does', async () => {
      const given = await fresh.append(
        event({ subject: 'a' }),
        event({ subject: 'b' }),
        event({ subject: 'a' }),
        event({ subject: 'b' }),
      )
      const [a1, b1, a2, b2] = given
      await park('hook', a1, start)
      await park('hook', b1, start + day)
      await park('hook', a2, start + 9 * day, 0)
      await park('hook', b2, start, 0)
      expect(await due('hook', start)).toEqual([a1?.sequence, a2?.sequence])
      expect(await due('hook', start + day)).toEqual(given.map(({ sequence }) => sequence))
      expect(await due('hook', start + day, 3)).toEqual(given.slice(0, 3).map(({ sequence }) => sequence))
      expect(await due('log', start + day)).toEqual([])
    })

    it('name their subjects until the last is unparked', async () => {
      const [a1, a2, b1] = await fresh.append(event({ subject: 'a' }), event({ subject: 'a' }), event({ subject: 'b' }))
      await park('hook', a1, start)
      await park('hook', a2, start)
      await park('hook', b1, start)
      await park('log', b1, start)
      expect(await fresh.store.events.parkedSubjects('hook')).toEqual(['a', 'b'])
      expect(await fresh.store.events.parkedSubjects('log')).toEqual(['b'])
      const unpark = (one: EventRecord | undefined) => fresh.write((tx) => tx.events.unpark('hook', one?.sequence ?? 0))
      await unpark(a1)
      expect(await fresh.store.events.parkedSubjects('hook')).toEqual(['a', 'b'])
      await unpark(a2)
      await unpark(a2)
      await unpark(b1)
      expect(await fresh.store.events.parkedSubjects('hook')).toEqual([])
      expect(await fresh.store.events.parkedSubjects('log')).toEqual(['b'])
    })

    it('are not pruned while a sink that is asked for has them parked', async () => {
      const [one, two] = await fresh.append(event({ time: start - day }), event({ time: start - day }))
      await park('hook', one, start)
      await park('removed', two, start)
      await fresh.write((tx) => tx.events.setCursor('hook', two?.sequence ?? 0))
      expect(await fresh.write((tx) => tx.events.prune(start, ['hook']))).toBe(1)
      expect(await due('hook', start)).toEqual([one?.sequence])
      expect(await due('removed', start)).toEqual([])
      expect(await fresh.store.events.parkedSubjects('removed')).toEqual([])
    })
  })
}
