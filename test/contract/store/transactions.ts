import { describe, expect, it } from 'vitest'
import { certificate, device, event } from '../../support/records.ts'
import { codeOf, freshStore, type OpenStore } from './fresh.ts'

export const transactionContract = (open: OpenStore): void => {
  describe('transactions', () => {
    const fresh = freshStore(open)

    it('gives what the work returns, and its writes are there for every reader', async () => {
      const given = device()
      const value = await fresh.write(async (tx) => {
        await tx.devices.put(given)
        return 'done'
      })
      expect(value).toBe('done')
      expect(await fresh.store.devices.get(given.id)).toEqual(given)
    })

    it('undoes every write of a work that fails, and rejects with its error', async () => {
      const lost = new Error('changed my mind')
      const given = device()
      const outcome = fresh.write(async (tx) => {
        await tx.devices.put(given)
        await tx.events.append(event())
        throw lost
      })
      await expect(outcome).rejects.toBe(lost)
      expect(await fresh.store.devices.get(given.id)).toBeNull()
      expect(await fresh.store.events.tail(10)).toEqual([])
    })

    it('shows a work its own writes, and readers outside nothing before the commit', async () => {
      const given = device()
      const seen = await fresh.write(async (tx) => {
        await tx.devices.put(given)
        return { inside: await tx.devices.get(given.id), outside: await fresh.store.devices.get(given.id) }
      })
      expect(seen).toEqual({ inside: given, outside: null })
      expect(await fresh.store.devices.get(given.id)).toEqual(given)
    })

    it('runs one work at a time, however many are asked for at once', async () => {
      const trace: number[] = []
      const works = Array.from({ length: 50 }, (_, index) =>
        fresh.write(async (tx) => {
          trace.push(index)
          await tx.devices.put(device())
          await tx.devices.list({ limit: 5 })
          trace.push(index)
        }),
      )
      await Promise.all(works)
      expect(trace).toHaveLength(100)
      for (let at = 0; at < trace.length; at += 2) expect(trace[at]).toBe(trace[at + 1])
    })

    it('lets one of many waiting transactions fail alone', async () => {
      const devices = Array.from({ length: 30 }, () => device())
      const outcomes = await Promise.allSettled(
        devices.map((given, index) =>
          fresh.write(async (tx) => {
            await tx.devices.put(given)
            if (index % 3 === 0) throw new Error(`no ${index}`)
            return given.id
          }),
        ),
      )
      for (const [index, given] of devices.entries()) {
        const failed = index % 3 === 0
        expect(outcomes[index]?.status).toBe(failed ? 'rejected' : 'fulfilled')
        expect(await fresh.store.devices.get(given.id)).toEqual(failed ? null : given)
      }
    })

    it('adds up correctly when many transactions read and write the same row', async () => {
      await fresh.write((tx) => tx.devices.put(device({ id: 'counter', labels: { n: '0' } })))
      const increments = Array.from({ length: 100 }, () =>
        fresh.write(async (tx) => {
          const current = await tx.devices.get('counter')
          const n = String(Number(current?.labels.n) + 1)
          await tx.devices.put(device({ id: 'counter', labels: { n } }))
        }),
      )
      await Promise.all(increments)
      expect((await fresh.store.devices.get('counter'))?.labels).toEqual({ n: '100' })
    })

    it('fails after an error of the store, even where the work catches it', async () => {
      const taken = certificate()
      await fresh.insert(taken)
      const given = device()
      const outcome = fresh.write(async (tx) => {
        await tx.devices.put(given)
        await tx.certificates.insert(taken).catch(() => undefined)
        return 'carried on'
      })
      expect(await codeOf(outcome)).toBe('conflict')
      expect(await fresh.store.devices.get(given.id)).toBeNull()
    })

    it('refuses a write after the end of its transaction', async () => {
      let late: (() => Promise<void>) | null = null
      const given = device()
      await fresh.write(async (tx) => {
        late = () => tx.devices.put(given)
      })
      expect(await codeOf(late === null ? Promise.resolve() : (late as () => Promise<void>)())).toBe('internal')
      expect(await fresh.store.devices.get(given.id)).toBeNull()
    })

    it('refuses a transaction within a transaction instead of waiting for itself for ever', async () => {
      const outcome = fresh.write(() => fresh.write(async () => undefined))
      expect(await codeOf(outcome)).toBe('internal')
      expect(await codeOf(fresh.write(async () => undefined))).toBe('resolved')
    })

    it('has no write outside a transaction, by type and at run time', () => {
      // @ts-expect-error: a store has reads only
      expect(fresh.store.certificates.insert).toBeUndefined()
      for (const [name, aggregate] of Object.entries(fresh.store))
        if (typeof aggregate === 'object')
          for (const write of [
            'put',
            'insert',
            'use',
            'change',
            'prune',
            'markPublished',
            'setState',
            'append',
            'record',
          ])
            expect(aggregate, `${name}.${write}`).not.toHaveProperty(write)
    })

    it('finishes what it took before it closes, and takes nothing afterwards', async () => {
      const store = await open()
      const given = device()
      const written = store.transaction(async (tx) => {
        await tx.devices.put(given)
        return (await tx.devices.get(given.id))?.id
      })
      const closed = store.close()
      const late = store.transaction((tx) => tx.devices.put(device()))
      expect(await codeOf(late)).toBe('unavailable')
      expect(await written).toBe(given.id)
      await closed
      expect(await codeOf(store.devices.get(given.id))).toBe('unavailable')
    })
  })
}
