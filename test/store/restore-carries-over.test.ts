import { describe, expect, it } from 'vitest'
import { restoreSqlite } from '../../src/store/restore.ts'
import type { Store, Writes } from '../../src/store/store.ts'
import {
  anchor,
  certificate,
  crl,
  day,
  device,
  event,
  gateway,
  hex,
  profile,
  revocation,
  start,
  token,
  truststore,
} from '../support/records.ts'
import { testFolder } from './folder.ts'

const folder = testFolder()

interface History {
  before: (tx: Writes) => Promise<unknown>
  after: (tx: Writes) => Promise<unknown>
}

/** What is there after: write `before`, back up, write `after`, restore. */
async function restored<T>({ before, after }: History, look: (store: Store) => Promise<T>): Promise<T> {
  const copy = folder.path('copy.db')
  await folder.with(async (store) => {
    await store.transaction(before)
    await store.backup(copy)
    await store.transaction(after)
  })
  const { unread } = await restoreSqlite({ from: copy, into: folder.path('everleaf.db') })
  expect(unread).toEqual([])
  return folder.with(look)
}

const nothing = async () => undefined
const serialsForCrl = async (store: Store) => {
  const serials: string[] = []
  const { chunks } = await store.revocations.forCrl('issuing-g1', 0, null)
  for await (const chunk of chunks) serials.push(...chunk.map(({ serial }) => serial))
  return serials
}

describe('a restore does not un-revoke:', () => {
  it('a certificate that was revoked since is revoked, and in the next CRL', async () => {
    const given = certificate({ state: 'confirmed' })
    const revoked = revocation({ serial: given.serial })
    const history: History = {
      before: (tx) => tx.certificates.insert(given),
      after: async (tx) => {
        await tx.revocations.insert(revoked)
        await tx.certificates.change(given, ['confirmed'], { state: 'revoked', nextAlertAt: null })
      },
    }
    await restored(history, async (store) => {
      expect(await store.revocations.get(given)).toEqual(revoked)
      expect(await store.certificates.get(given)).toEqual({ ...given, state: 'revoked', nextAlertAt: null })
      expect((await store.certificates.count()).revoked).toBe(1)
      expect(await serialsForCrl(store)).toEqual([given.serial])
      expect(await store.revocations.countUnpublished('issuing-g1', 0)).toBe(1)
    })
  })

  it('a certificate that was issued and revoked since is both', async () => {
    const given = certificate({ state: 'revoked' })
    const after = async (tx: Writes) => {
      await tx.certificates.insert(given)
      await tx.revocations.insert(revocation({ serial: given.serial }))
    }
    await restored({ before: nothing, after }, async (store) => {
      expect((await store.certificates.get(given))?.state).toBe('revoked')
      expect(await serialsForCrl(store)).toEqual([given.serial])
    })
  })

  it('what was published since counts as published in the CRL that held it, what was not as unpublished', async () => {
    const [first, second, third] = [revocation(), revocation(), revocation()]
    const history: History = {
      before: async (tx) => {
        await tx.revocations.insert(first)
        await tx.revocations.markPublished('issuing-g1', 0, 10n, 1)
      },
      after: async (tx) => {
        await tx.revocations.insert(second)
        await tx.revocations.markPublished('issuing-g1', 0, 11n, 2)
        await tx.revocations.insert(third)
      },
    }
    await restored(history, async (store) => {
      const publishedIn = async (one: typeof first) => (await store.revocations.get(one))?.publishedIn
      expect(await publishedIn(first)).toBe(10n)
      expect(await publishedIn(second)).toBe(11n)
      expect(await publishedIn(third)).toBeNull()
      expect(await store.revocations.countUnpublished('issuing-g1', 0)).toBe(1)
      const { mark } = await store.revocations.forCrl('issuing-g1', 0, null)
      await store.transaction((tx) => tx.revocations.markPublished('issuing-g1', 0, 12n, mark))
      expect(await publishedIn(third)).toBe(12n)
      await store.transaction((tx) => tx.revocations.insert(revocation()))
      expect(await store.revocations.countUnpublished('issuing-g1', 0)).toBe(1)
    })
  })

  it('also where the backup is of another history, whose marks reach further', async () => {
    const waiting = revocation()
    const copy = folder.path('copy.db')
    await folder.with(async (store) => {
      await store.transaction(async (tx) => {
        for (let index = 0; index < 5; index++) await tx.revocations.insert(revocation())
        await tx.revocations.markPublished('issuing-g1', 0, 10n, 5)
      })
      await store.backup(copy)
    }, 'other.db')
    await folder.with((store) => store.transaction((tx) => tx.revocations.insert(waiting)))
    await restoreSqlite({ from: copy, into: folder.path('everleaf.db') })
    await folder.with(async (store) => {
      expect(await store.revocations.get(waiting)).toEqual(waiting)
      expect(await store.revocations.countUnpublished('issuing-g1', 0)).toBe(1)
    })
  })

  it('a device that was retired since is retired, an anchor that was withdrawn since is withdrawn', async () => {
    const [given, withdrawn] = [device(), anchor({ state: 'active' })]
    const history: History = {
      before: async (tx) => {
        await tx.devices.put(given)
        await tx.anchors.insert(withdrawn)
      },
      after: async (tx) => {
        await tx.devices.put({ ...given, state: 'retired', labels: {} })
        await tx.anchors.setState(withdrawn.fingerprint, 'retired')
      },
    }
    await restored(history, async (store) => {
      expect((await store.devices.get(given.id))?.state).toBe('retired')
      expect((await store.anchors.list()).map(({ state }) => state)).toEqual(['retired'])
    })
  })

  it('a token that was used since is used', async () => {
    const given = token()
    const history: History = {
      before: (tx) => tx.tokens.insert(given),
      after: (tx) => tx.tokens.use(given.hash, start + 5),
    }
    await restored(history, async (store) => {
      expect(await store.tokens.get(given.hash)).toEqual({ ...given, usedAt: start + 5 })
      expect(await store.transaction((tx) => tx.tokens.use(given.hash, start + 6))).toBe(false)
    })
  })
})

describe('a restore repeats no number:', () => {
  it('the CRL number stays the highest that either knows', async () => {
    const put = (number: bigint, authority: string) => (tx: Writes) => tx.crls.put(crl({ number, authority }))
    const history: History = { before: put(10n, 'issuing-g1'), after: put(20n, 'issuing-g1') }
    expect(await restored(history, async (store) => (await store.crls.get('issuing-g1', 0))?.number)).toBe(20n)
  })

  it('nor lowers one where the backup is ahead', async () => {
    const copy = folder.path('copy.db')
    await folder.with(async (store) => {
      await store.transaction((tx) => tx.crls.put(crl({ number: 30n })))
      await store.backup(copy)
    }, 'other.db')
    await folder.with((store) => store.transaction((tx) => tx.crls.put(crl({ number: 20n }))))
    await restoreSqlite({ from: copy, into: folder.path('everleaf.db') })
    const record = await folder.with((store) => store.crls.get('issuing-g1', 0))
    expect(record?.number).toBe(30n)
  })

  it('no event gets a sequence that a cursor has passed, even where all events were pruned', async () => {
    const history: History = {
      before: nothing,
      after: async (tx) => {
        for (let index = 0; index < 9; index++) await tx.events.append(event({ time: start }))
        await tx.events.setCursor('hook', 9)
        await tx.events.prune(start + 1, ['hook'])
      },
    }
    await restored(history, async (store) => {
      expect(await store.events.cursor('hook')).toBe(9)
      const { sequence } = await store.transaction((tx) => tx.events.append(event()))
      expect(sequence).toBe(10)
    })
  })
})

describe('a restore loses nothing that can be read:', () => {
  it('a certificate goes on from where it was, and its successor is there', async () => {
    const old = certificate({ state: 'delivered' })
    const { authority, serial } = old
    const successor = certificate({ predecessor: { authority, serial }, state: 'confirmed' })
    const marks = { renewalOpenedAt: start + 1, confirmedAt: start, supersededAt: start + 2, nextAlertAt: null }
    const history: History = {
      before: (tx) => tx.certificates.insert(old),
      after: async (tx) => {
        await tx.certificates.change(old, ['delivered'], { state: 'superseded', ...marks })
        await tx.certificates.insert(successor)
      },
    }
    await restored(history, async (store) => {
      expect(await store.certificates.get(old)).toEqual({ ...old, state: 'superseded', ...marks })
      expect(await store.certificates.successorsOf(old)).toEqual([successor])
      expect(await store.certificates.count()).toMatchObject({ superseded: 1, confirmed: 1, delivered: 0 })
    })
  })

  it('a certificate that clashes with another of the backup is on record, if without its predecessor', async () => {
    const copy = folder.path('copy.db')
    const predecessor = { authority: 'issuing-g1', serial: '0a' }
    const [here, there] = [hex(64)].flatMap((spkiSha256) => [
      certificate({ predecessor, spkiSha256 }),
      certificate({ predecessor, spkiSha256 }),
    ])
    if (!here || !there) throw new Error('two are made')
    await folder.with(async (store) => {
      await store.transaction((tx) => tx.certificates.insert(there))
      await store.backup(copy)
    }, 'other.db')
    await folder.with((store) => store.transaction((tx) => tx.certificates.insert(here)))
    await restoreSqlite({ from: copy, into: folder.path('everleaf.db') })
    await folder.with(async (store) => {
      expect(await store.certificates.get(there)).toEqual(there)
      expect(await store.certificates.get(here)).toEqual({ ...here, predecessor: null })
    })
  })

  it('events, those that wait, truststores, gateways, profiles, tokens and devices are there', async () => {
    const [freshToken, freshDevice, freshAnchor] = [token(), device({ lastContactAt: start }), anchor()]
    const known = device()
    const history: History = {
      before: async (tx) => {
        await tx.gateways.put(gateway({ updatedAt: start }))
        await tx.truststores.insert(truststore({ version: 1 }))
        await tx.profiles.record(profile(), start)
        await tx.devices.put(known)
        const delivered = await tx.events.append(event())
        await tx.events.park('hook', { event: delivered, attempts: 1, nextAttemptAt: start, reason: 'down' })
      },
      after: async (tx) => {
        await tx.gateways.put(gateway({ state: 'current', updatedAt: start + 1 }))
        await tx.truststores.insert(truststore({ version: 2 }))
        await tx.profiles.record(profile({ validity: day }), start)
        await tx.tokens.insert(freshToken)
        await tx.devices.put(freshDevice)
        await tx.devices.recordContact(known.id, { at: start + day, agentVersion: '2.0' })
        await tx.anchors.insert(freshAnchor)
        await tx.events.unpark('hook', 1)
        const waiting = await tx.events.append(event({ subject: 'waiting' }))
        await tx.events.park('hook', { event: waiting, attempts: 3, nextAttemptAt: start, reason: 'down' })
      },
    }
    await restored(history, async (store) => {
      expect((await store.gateways.get('edge'))?.state).toBe('current')
      expect((await store.truststores.latest())?.version).toBe(2)
      expect(await store.profiles.latest('device')).toEqual({ version: 2, profile: profile({ validity: day }) })
      expect(await store.tokens.get(freshToken.hash)).toEqual(freshToken)
      expect(await store.devices.get(freshDevice.id)).toEqual(freshDevice)
      expect(await store.devices.get(known.id)).toMatchObject({ lastContactAt: start + day, agentVersion: '2.0' })
      expect(await store.anchors.list()).toEqual([freshAnchor])
      expect((await store.events.tail(9)).map(({ subject }) => subject)).toEqual(['sensor-1', 'waiting'])
      expect(await store.events.parkedSubjects('hook')).toEqual(['waiting'])
    })
  })

  it('events of two histories under the same sequence are both there', async () => {
    const copy = folder.path('copy.db')
    await folder.with(async (store) => {
      await store.transaction((tx) => tx.events.append(event({ subject: 'there' })))
      await store.backup(copy)
    }, 'other.db')
    await folder.with((store) => store.transaction((tx) => tx.events.append(event({ subject: 'here' }))))
    await restoreSqlite({ from: copy, into: folder.path('everleaf.db') })
    const events = await folder.with((store) => store.events.tail(9))
    expect(events.map(({ subject }) => subject)).toEqual(['there', 'here'])
  })
})
