import { describe, expect, it } from 'vitest'
import type { Certificate, CertificateState } from '../../../src/model.ts'
import type { CertificateFilter } from '../../../src/store/store.ts'
import { certificate, day, hex, revocation, start } from '../../support/records.ts'
import { codeOf, freshStore, type OpenStore } from './fresh.ts'

const serials = (certificates: readonly Certificate[]) => certificates.map(({ serial }) => serial)

export const certificateContract = (open: OpenStore): void => {
  describe('certificates', () => {
    const fresh = freshStore(open)

    it('are read back as they were inserted, with and without all that may be absent', async () => {
      const bare = certificate({ device: null, profile: null, slot: null, nextAlertAt: null, source: 'partner' })
      const full = certificate({
        state: 'superseded',
        renewalOpenedAt: start + 1,
        predecessor: { authority: 'issuing-g0', serial: bare.serial },
        token: hex(64),
        deliveredAt: start + 2,
        confirmedAt: start + 3,
        supersededAt: start + 4,
        crlShard: 7,
        der: Uint8Array.from({ length: 2_000 }, (_, index) => index % 256),
        notAfter: Date.UTC(9999, 11, 31, 23, 59, 59),
      })
      await fresh.insert(bare, full)
      expect(await fresh.store.certificates.get(bare)).toEqual(bare)
      const found = await fresh.store.certificates.get(full)
      expect({ ...found, der: Uint8Array.from(found?.der ?? []) }).toEqual(full)
      expect(await fresh.store.certificates.get({ authority: 'issuing-g9', serial: bare.serial })).toBeNull()
    })

    it('are one for an authority and serial, one for a predecessor and key, one for a token and key', async () => {
      const first = certificate({ predecessor: { authority: 'issuing-g1', serial: '0a' }, token: hex(64) })
      await fresh.insert(first)
      const insert = (change: Partial<Certificate>) => codeOf(fresh.insert(certificate(change)))
      const { authority, serial, predecessor, token, spkiSha256 } = first
      expect(await insert({ authority, serial })).toBe('conflict')
      expect(await insert({ predecessor, spkiSha256 })).toBe('conflict')
      expect(await insert({ token, spkiSha256 })).toBe('conflict')
      expect(await insert({ authority: 'issuing-g2', serial })).toBe('resolved')
      expect(await insert({ predecessor })).toBe('resolved')
      expect(await insert({ predecessor: { authority: 'issuing-g2', serial: '0a' }, spkiSha256 })).toBe('resolved')
      expect(await insert({ token })).toBe('resolved')
      expect(await insert({ spkiSha256 })).toBe('resolved')
      expect(await insert({ spkiSha256 })).toBe('resolved')
    })

    it('find their successors and the certificates of a token, oldest first', async () => {
      const first = certificate()
      const predecessor = { authority: first.authority, serial: first.serial }
      const token = hex(64)
      const late = certificate({ predecessor, token, issuedAt: start + 2 })
      const early = certificate({ predecessor, token, issuedAt: start + 1 })
      await fresh.insert(first, late, early, certificate({ token: hex(64) }))
      expect(serials(await fresh.store.certificates.successorsOf(first))).toEqual(serials([early, late]))
      expect(serials(await fresh.store.certificates.forToken(token))).toEqual(serials([early, late]))
      expect(await fresh.store.certificates.successorsOf(late)).toEqual([])
      expect(await fresh.store.certificates.forToken('00')).toEqual([])
    })

    it('of a device under a profile are live until superseded, revoked or expired, newest first', async () => {
      const states: CertificateState[] = ['issued', 'delivered', 'confirmed', 'superseded', 'revoked', 'expired']
      const given = states.map((state, index) => certificate({ state, issuedAt: start + index }))
      await fresh.insert(...given, certificate({ device: 'other' }), certificate({ profile: 'other' }))
      const live = await fresh.store.certificates.liveOf('sensor-1', 'device')
      expect(live.map(({ state }) => state)).toEqual(['confirmed', 'delivered', 'issued'])
    })

    it('tell when a device was issued some since an instant, in whatever state they are now', async () => {
      const states: CertificateState[] = ['revoked', 'issued', 'expired', 'superseded']
      await fresh.insert(
        ...states.map((state, index) => certificate({ state, issuedAt: start + index * day })),
        certificate({ device: 'other', issuedAt: start + day }),
      )
      const since = (at: number) => fresh.store.certificates.issuedSince('sensor-1', at)
      expect(await since(start + day)).toEqual([start + day, start + 2 * day, start + 3 * day])
      expect(await since(start + 3 * day + 1)).toEqual([])
    })

    it('are changed where they are in one of the given states, and in the given marks only', async () => {
      const given = certificate({ state: 'delivered', deliveredAt: start })
      await fresh.insert(given)
      const change = (from: CertificateState[], marks: Partial<Certificate>) =>
        fresh.write((tx) => tx.certificates.change(given, from, marks))
      expect(await change(['issued'], { state: 'revoked' })).toBe(false)
      expect(await change([], { state: 'revoked' })).toBe(false)
      expect(await fresh.store.certificates.get(given)).toEqual(given)
      expect(await change(['issued', 'delivered'], { state: 'confirmed', confirmedAt: start + 5 })).toBe(true)
      expect(await change(['confirmed'], { nextAlertAt: null, slot: start + 9, renewalOpenedAt: start + 8 })).toBe(true)
      expect(await change(['confirmed'], {})).toBe(true)
      expect(await fresh.store.certificates.get(given)).toEqual({
        ...given,
        state: 'confirmed',
        confirmedAt: start + 5,
        nextAlertAt: null,
        slot: start + 9,
        renewalOpenedAt: start + 8,
      })
      expect(await fresh.write((tx) => tx.certificates.change({ authority: 'x', serial: '00' }, ['issued'], {}))).toBe(
        false,
      )
    })

    it('are counted by state through every insertion, change, failure and removal', async () => {
      const none = { issued: 0, delivered: 0, confirmed: 0, superseded: 0, revoked: 0, expired: 0 }
      expect(await fresh.store.certificates.count()).toEqual(none)
      const [first, second] = [certificate(), certificate()]
      await fresh.insert(first, second, certificate({ state: 'expired', notAfter: start - day }))
      expect(await fresh.store.certificates.count()).toEqual({ ...none, issued: 2, expired: 1 })
      await fresh.write((tx) => tx.certificates.change(first, ['issued'], { state: 'delivered' }))
      await fresh.write((tx) => tx.certificates.change(second, ['issued'], { state: 'issued', slot: start }))
      expect(await codeOf(fresh.insert(certificate(), first))).toBe('conflict')
      await fresh.write((tx) => tx.certificates.prune(start, 10))
      expect(await fresh.store.certificates.count()).toEqual({ ...none, issued: 1, delivered: 1 })
    })

    it('are pruned when they ended before the instant and no revocation holds them, oldest first', async () => {
      const oldest = certificate({ state: 'expired', notAfter: start - 3 * day })
      const revoked = certificate({ state: 'revoked', notAfter: start - 2 * day })
      const held = certificate({ state: 'revoked', notAfter: start - 2 * day })
      const edge = certificate({ state: 'expired', notAfter: start })
      const unswept = certificate({ state: 'confirmed', notAfter: start - 2 * day })
      await fresh.insert(edge, revoked, oldest, held, unswept)
      await fresh.write((tx) => tx.revocations.insert(revocation({ serial: held.serial })))
      const prune = (limit: number) => fresh.write((tx) => tx.certificates.prune(start, limit))
      expect(await prune(1)).toBe(1)
      expect(await fresh.store.certificates.get(oldest)).toBeNull()
      expect(await prune(10)).toBe(1)
      expect(await prune(10)).toBe(0)
      const left = serials(await fresh.store.certificates.list({ limit: 10 }))
      expect(left).toEqual(serials([held, edge, unswept]).sort())
    })
  })

  describe('listed certificates', () => {
    const fresh = freshStore(open)
    const keys = async (filter: CertificateFilter) =>
      (await fresh.store.certificates.list(filter)).map(({ authority, serial }) => `${authority}/${serial}`)

    it('come by authority and serial, page after page, each once', async () => {
      const given = Array.from({ length: 25 }, (_, index) => certificate({ authority: `issuing-g${index % 3}` }))
      await fresh.insert(...given)
      const all = given.map(({ authority, serial }) => `${authority}/${serial}`).sort()
      const seen: string[] = []
      for (let after: Certificate | undefined; ; ) {
        const page = await fresh.store.certificates.list({ limit: 4, after })
        seen.push(...page.map(({ authority, serial }) => `${authority}/${serial}`))
        after = page.at(-1)
        if (!after) break
      }
      expect(seen).toEqual(all)
    })

    it('can be narrowed by device, state, source and expiry, alone and together, also after a key', async () => {
      const given = Array.from({ length: 48 }, (_, index) =>
        certificate({
          device: index % 2 ? 'a' : 'b',
          state: index % 3 ? 'confirmed' : 'revoked',
          source: index % 4 ? 'issued' : 'partner',
          notAfter: start + index * day,
        }),
      )
      await fresh.insert(...given)
      const sorted = [...given].sort((x, y) => (x.serial < y.serial ? -1 : 1))
      const filters: Array<Omit<CertificateFilter, 'limit'>> = [
        {},
        { device: 'a' },
        { state: 'revoked' },
        { source: 'partner' },
        { expiresBefore: start + 9 * day },
        { state: 'confirmed', source: 'issued' },
        { state: 'confirmed', source: 'partner' },
        { state: 'revoked', source: 'partner' },
        { state: 'revoked', expiresBefore: start + 30 * day },
        { device: 'a', source: 'issued', state: 'revoked' },
        { device: 'b', state: 'revoked', source: 'partner', expiresBefore: start + 40 * day },
        { state: 'expired' },
      ]
      for (const filter of filters)
        for (const after of [undefined, sorted[20]]) {
          const expected = sorted.filter(
            (one) =>
              (filter.device === undefined || one.device === filter.device) &&
              (filter.state === undefined || one.state === filter.state) &&
              (filter.source === undefined || one.source === filter.source) &&
              (filter.expiresBefore === undefined || one.notAfter < filter.expiresBefore) &&
              (after === undefined || one.serial > after.serial),
          )
          const all = expected.map(({ authority, serial }) => `${authority}/${serial}`)
          expect(await keys({ ...filter, after, limit: 100 })).toEqual(all)
          expect(await keys({ ...filter, after, limit: 3 })).toEqual(all.slice(0, 3))
        }
    })

    it('are found however rare they are among many', async () => {
      const rare = new Set([17, 1_999, 2_000, 4_999, 5_000, 12_398, 12_399])
      const given = Array.from({ length: 12_400 }, (_, index) =>
        certificate({
          serial: index.toString(16).padStart(32, '0'),
          state: rare.has(index) ? 'issued' : index % 2 ? 'confirmed' : 'superseded',
          source: rare.has(index) ? 'imported' : index % 2 ? 'issued' : 'partner',
          notAfter: rare.has(index) || index % 400 === 0 ? start : start + day,
        }),
      )
      await fresh.insert(...given)
      const found = [...rare].map((index) => `issuing-g1/${given[index]?.serial}`)
      for (const filter of [{ state: 'issued' }, { source: 'imported' }] as const) {
        expect(await keys({ ...filter, limit: 10 })).toEqual(found)
        expect(await keys({ ...filter, limit: 2 })).toEqual(found.slice(0, 2))
        expect(await keys({ ...filter, limit: 10, after: given[17] })).toEqual(found.slice(1))
      }
      expect(await keys({ state: 'expired', limit: 10 })).toEqual([])
      const early = given.filter((_, index) => index % 400 === 0 && !rare.has(index))
      for (const filter of [{ state: 'superseded' }, { source: 'partner' }] as const)
        expect(await keys({ ...filter, expiresBefore: start + 1, limit: 100 })).toEqual(
          early.map(({ serial }) => `issuing-g1/${serial}`),
        )
    })
  })
}
