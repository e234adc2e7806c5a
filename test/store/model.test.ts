import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Certificate, CertificateState, Revocation } from '../../src/model.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { certificate, hour, revocation, start } from '../support/records.ts'

/**
 * Any sequence of writes, against the plainest possible memory of them. `serial` is one of few, so that the writes meet.
 */
type Step =
  | { do: 'insert'; serial: number; state: CertificateState; slot: number | null; alert: number | null; end: number }
  | {
      do: 'change'
      serial: number
      from: CertificateState
      state: CertificateState
      opened: boolean
      alert: number | null
    }
  | { do: 'revoke'; serial: number; end: number }
  | { do: 'read for a CRL' }
  | { do: 'publish' }
  | { do: 'prune'; before: number }
  | { do: 'fail' }

interface Memory {
  certificates: Map<string, Certificate>
  revocations: Map<string, Revocation>
  /** What the last reading for a CRL gave, and its mark. */
  read: { held: string[]; mark: number } | null
  number: bigint
}

const states: CertificateState[] = ['issued', 'delivered', 'confirmed', 'superseded', 'revoked', 'expired']
const live = ['issued', 'delivered', 'confirmed']
const serialOf = (index: number) => index.toString(16).padStart(32, '0')
const keyOf = (index: number) => ({ authority: 'issuing-g1', serial: serialOf(index) })

const serial = fc.integer({ min: 0, max: 7 })
const state = fc.constantFrom(...states)
const at = fc.integer({ min: -3, max: 3 }).map((hours) => start + hours * hour)
const maybe = fc.option(at)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('insert' as const), serial, state, slot: maybe, alert: maybe, end: at }),
  fc.record({ do: fc.constant('change' as const), serial, from: state, state, opened: fc.boolean(), alert: maybe }),
  fc.record({ do: fc.constant('revoke' as const), serial, end: at }),
  fc.constant({ do: 'read for a CRL' as const }),
  fc.constant({ do: 'publish' as const }),
  fc.record({ do: fc.constant('prune' as const), before: at }),
  fc.constant({ do: 'fail' as const }),
)

async function apply(step: Step, store: Store, memory: Memory): Promise<void> {
  switch (step.do) {
    case 'insert': {
      const given = certificate({
        ...keyOf(step.serial),
        state: step.state,
        slot: step.slot,
        nextAlertAt: step.alert,
        notAfter: step.end,
      })
      const inserted = await store
        .transaction((tx) => tx.certificates.insert(given))
        .then(
          () => true,
          () => false,
        )
      expect(inserted).toBe(!memory.certificates.has(given.serial))
      if (inserted) memory.certificates.set(given.serial, given)
      return
    }
    case 'change': {
      const marks = { state: step.state, renewalOpenedAt: step.opened ? start : null, nextAlertAt: step.alert }
      const changed = await store.transaction((tx) => tx.certificates.change(keyOf(step.serial), [step.from], marks))
      const known = memory.certificates.get(serialOf(step.serial))
      expect(changed).toBe(known?.state === step.from)
      if (known && changed) memory.certificates.set(known.serial, { ...known, ...marks })
      return
    }
    case 'revoke': {
      const given = revocation({ ...keyOf(step.serial), notAfter: step.end })
      const inserted = await store.transaction((tx) => tx.revocations.insert(given))
      expect(inserted).toBe(!memory.revocations.has(given.serial))
      if (inserted) memory.revocations.set(given.serial, given)
      return
    }
    case 'read for a CRL': {
      const { mark, chunks } = await store.revocations.forCrl('issuing-g1', 0, start)
      const held: string[] = []
      for await (const chunk of chunks) held.push(...chunk.map((one) => one.serial))
      const wanted = [...memory.revocations.values()].filter((one) => one.publishedIn === null || one.notAfter >= start)
      expect(held).toEqual(wanted.map((one) => one.serial).sort())
      memory.read = { held, mark }
      return
    }
    case 'publish': {
      const { read } = memory
      if (!read) return
      memory.number += 1n
      const number = memory.number
      await store.transaction((tx) => tx.revocations.markPublished('issuing-g1', 0, number, read.mark))
      for (const one of memory.revocations.values()) if (read.held.includes(one.serial)) one.publishedIn ??= number
      return
    }
    case 'prune': {
      await store.transaction(async (tx) => {
        await tx.revocations.prune('issuing-g1', 0, step.before)
        await tx.certificates.prune(step.before, 100)
      })
      for (const [key, one] of memory.revocations) {
        if (one.publishedIn === null || one.notAfter >= step.before) continue
        memory.revocations.delete(key)
        // Revoked again, it is another revocation than the one that was read.
        if (memory.read) memory.read.held = memory.read.held.filter((held) => held !== key)
      }
      for (const [key, one] of memory.certificates)
        if (['revoked', 'expired'].includes(one.state) && one.notAfter < step.before && !memory.revocations.has(key))
          memory.certificates.delete(key)
      return
    }
    case 'fail': {
      const outcome = store.transaction(async (tx) => {
        await tx.certificates.change(keyOf(0), states, { state: 'expired', slot: null })
        await tx.certificates.prune(start + 9 * hour, 100)
        await tx.revocations.insert(revocation(keyOf(9)))
        throw new Error('undo all that')
      })
      await expect(outcome).rejects.toThrow('undo')
    }
  }
}

async function compare(store: Store, memory: Memory): Promise<void> {
  const all = [...memory.certificates.values()].sort((a, b) => (a.serial < b.serial ? -1 : 1))
  expect(await store.certificates.list({ limit: 100 })).toEqual(all)
  const count = Object.fromEntries(states.map((one) => [one, all.filter((given) => given.state === one).length]))
  expect(await store.certificates.count()).toEqual(count)
  const due = async (found: Promise<Certificate[]>) => (await found).map((one) => one.serial).sort()
  const expected = (wanted: (one: Certificate) => boolean) => all.filter(wanted).map((one) => one.serial)
  expect(await due(store.certificates.dueForRenewal(start, 100))).toEqual(
    expected(
      (one) => one.slot !== null && one.slot <= start && one.renewalOpenedAt === null && live.includes(one.state),
    ),
  )
  expect(await due(store.certificates.dueForAlert(start, 100))).toEqual(
    expected((one) => one.nextAlertAt !== null && one.nextAlertAt <= start),
  )
  expect(await due(store.certificates.dueToExpire(start, 100))).toEqual(
    expected((one) => one.notAfter < start && one.state !== 'expired' && one.state !== 'revoked'),
  )
  for (const one of memory.revocations.values()) expect(await store.revocations.get(one)).toEqual(one)
  const unpublished = [...memory.revocations.values()].filter((one) => one.publishedIn === null)
  expect(await store.revocations.countUnpublished('issuing-g1', 0)).toBe(unpublished.length)
}

it('behaves after any sequence of writes like a plain memory of them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const store = await openSqlite({ file: ':memory:' })
      const memory: Memory = { certificates: new Map(), revocations: new Map(), read: null, number: 0n }
      try {
        for (const one of steps) await apply(one, store, memory)
        await compare(store, memory)
      } finally {
        await store.close()
      }
    }),
    { numRuns: 150 },
  )
})
