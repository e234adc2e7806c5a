import { describe, expect, it } from 'vitest'
import type { Certificate, CertificateSource, CertificateState } from '../../../src/model.ts'
import { certificate, day, start } from '../../support/records.ts'
import { freshStore, type OpenStore } from './fresh.ts'

const states: CertificateState[] = ['issued', 'delivered', 'confirmed', 'superseded', 'revoked', 'expired']
const sources: CertificateSource[] = ['issued', 'listener', 'authority', 'imported', 'partner']
const serials = (certificates: readonly Certificate[]) => certificates.map(({ serial }) => serial)

export const dueContract = (open: OpenStore): void => {
  describe('certificates that are due', () => {
    const fresh = freshStore(open)

    it('for renewal: live, renewed by us, slot reached, renewal not open; by slot', async () => {
      const late = certificate({ slot: start, state: 'confirmed' })
      const early = certificate({ slot: start - day, state: 'delivered', source: 'listener' })
      await fresh.insert(
        late,
        early,
        certificate({ slot: start + 1 }),
        certificate({ slot: null }),
        certificate({ slot: start - day, renewalOpenedAt: start - day }),
        ...(['superseded', 'revoked', 'expired'] as const).map((state) => certificate({ state, slot: start - day })),
        ...sources.slice(2).map((source) => certificate({ source, slot: start - day })),
      )
      const due = (limit: number) => fresh.store.certificates.dueForRenewal(start, limit)
      expect(serials(await due(10))).toEqual(serials([early, late]))
      expect(serials(await due(1))).toEqual(serials([early]))
      await fresh.write((tx) => tx.certificates.change(early, ['delivered'], { renewalOpenedAt: start }))
      expect(serials(await due(10))).toEqual(serials([late]))
    })

    it('for an alert: whatever they are, when its instant is reached; by it', async () => {
      const given = states.map((state, index) => certificate({ state, nextAlertAt: start - index * day }))
      await fresh.insert(...given, certificate({ nextAlertAt: start + 1 }), certificate({ nextAlertAt: null }))
      const due = (limit: number) => fresh.store.certificates.dueForAlert(start, limit)
      expect(serials(await due(10))).toEqual(serials([...given].reverse()))
      expect(await due(2)).toHaveLength(2)
      const [first] = given
      if (first) await fresh.write((tx) => tx.certificates.change(first, ['issued'], { nextAlertAt: null }))
      expect(serials(await due(10))).toEqual(serials([...given.slice(1)].reverse()))
    })

    it('to expire: past the last instant at which they are valid, and not ended yet; by it', async () => {
      const given = states.map((state, index) => certificate({ state, notAfter: start - 1 - index }))
      await fresh.insert(...given, certificate({ notAfter: start }), certificate({ notAfter: start + 1 }))
      const due = (limit: number) => fresh.store.certificates.dueToExpire(start, limit)
      expect(serials(await due(10))).toEqual(serials(given.slice(0, 4).reverse()))
      expect(await due(3)).toHaveLength(3)
      for (const one of given.slice(0, 4))
        await fresh.write((tx) => tx.certificates.change(one, states, { state: 'expired' }))
      expect(await due(10)).toEqual([])
    })
  })
}
