import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { truststoreKey } from '../../src/lifecycle/ports.ts'
import { planTruststore, publishTruststore } from '../../src/lifecycle/publish-truststore.ts'
import { registerAuthorities } from '../../src/lifecycle/register-authorities.ts'
import type { TrustAnchorState } from '../../src/model.ts'
import { sha256Hex } from '../../src/pki/digest.ts'
import { parseTruststore } from '../../src/pki/truststore.ts'
import { backupSqlite } from '../../src/store/backup.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { fakeGateway } from '../fakes/gateway.ts'
import { makeAuthority } from '../support/certificates.ts'
import { day, makeWorld, type World } from '../support/world.ts'

const edge = fakeGateway()
const small = fakeGateway({ name: 'small', limits: { truststoreCertificates: 3 } })
let world: World
beforeEach(async () => {
  world = await makeWorld({ gateways: new Map([edge, small].map((each) => [each.name, each])) })
})
afterEach(() => world.stop())

const publish = (request: Parameters<typeof publishTruststore>[0] = {}) => publishTruststore(request, world.ports)
const live = async () => {
  const artefact = await world.ports.publication.get(truststoreKey)
  return { anchors: subjects(new TextDecoder().decode(artefact?.bytes)), version: artefact?.manifest?.version }
}
const subjects = (pem: string) => parseTruststore(pem).map(({ subjectText }) => subjectText)
const own = () => world.ports.authorities.all.map(({ certificate }) => certificate.subjectText)
const file = () => join(world.directory, 'published', truststoreKey)
const told = async () => (await world.ports.store.events.tail(100)).filter(({ subject }) => subject === 'truststore')
const types = async () => (await told()).map(({ detailType }) => detailType)

/** Adds the root of a partner and returns its fingerprint. */
const addPartner = async (name: string): Promise<string> => {
  const now = world.clock.now()
  const { parsed } = makeAuthority({ name, notBefore: now - day, notAfter: now + 1_000 * day })
  const { fingerprint, subjectText: subject, der, notAfter } = parsed
  const anchor = { fingerprint, subject, der, notAfter, addedAt: now, source: 'partner', state: 'active' } as const
  await world.ports.store.transaction((tx) => tx.anchors.insert(anchor))
  return fingerprint
}
const setState = (fingerprint: string, state: TrustAnchorState) =>
  world.ports.store.transaction((tx) => tx.anchors.setState(fingerprint, state))

describe('the truststore is published', () => {
  test('first with every authority of the chain, as version 1, and told of', async () => {
    expect(await publish()).toMatchObject({ act: 'publish', reason: 'first' })
    const { anchors, version } = await live()
    expect(anchors.sort()).toEqual(own().sort())
    expect(version).toBe('1')
    expect(await told()).toMatchObject([
      { detailType: 'Truststore Published', detail: { Version: 1, Certificates: 2 } },
    ])
  })

  test('not again while nothing changed, twice registered authorities neither', async () => {
    await publish()
    await registerAuthorities(world.ports)
    expect(await publish()).toMatchObject({ act: 'leave', reason: 'unchanged' })
    expect(await world.ports.store.anchors.list()).toHaveLength(2)
    expect(await types()).toEqual(['Truststore Published'])
  })

  test('when an anchor came, and when one was retired, with what changed in the event', async () => {
    await publish()
    const partner = await addPartner('Partner')
    expect(await planTruststore(world.ports)).toMatchObject({ version: 2, added: [partner], removed: [], lost: [] })
    expect(await publish()).toMatchObject({ act: 'publish', reason: 'anchors-changed' })
    expect((await live()).anchors).toContain('CN=Partner')
    await setState(partner, 'retired')
    expect(await publish()).toMatchObject({ act: 'publish', reason: 'anchors-changed' })
    expect((await live()).anchors).not.toContain('CN=Partner')
    expect((await told()).map(({ detail }) => [detail.Version, detail.Added, detail.Removed])).toEqual([
      [1, expect.any(Array), []],
      [2, [partner], []],
      [3, [], [partner]],
    ])
  })

  test('with an incoming and a retiring anchor too, since certificates of both are in use', async () => {
    for (const state of ['incoming', 'retiring'] as const) {
      await setState(await addPartner('Partner'), state)
      await publish()
      expect((await live()).anchors).toContain('CN=Partner')
      for (const { fingerprint, source } of await world.ports.store.anchors.list())
        if (source === 'partner') await setState(fingerprint, 'retired')
    }
  })

  test('again when asked for, under a new version', async () => {
    await publish()
    expect(await publish({ force: true })).toMatchObject({ act: 'publish', reason: 'forced' })
    expect((await live()).version).toBe('2')
  })
})

describe('what is published is mended', () => {
  test.each([
    ['removed', () => rm(file())],
    ['cut off', () => writeFile(file(), '-----BEGIN CERTIFICATE-----\nMII')],
    ['removed with its manifest', () => rm(join(world.directory, 'published'), { recursive: true })],
  ])('when it was %s: the same version, no event', async (_, damage) => {
    await publish()
    const before = await world.ports.publication.get(truststoreKey)
    await damage()
    expect(await publish()).toMatchObject({ act: 'repair', reason: 'missing' })
    expect(await world.ports.publication.get(truststoreKey)).toEqual(before)
    expect(await types()).toEqual(['Truststore Published'])
  })

  test('when somebody put another one there', async () => {
    await publish()
    const now = world.clock.now()
    const { pem } = makeAuthority({ name: 'Intruder', notBefore: now - day, notAfter: now + day })
    await writeFile(file(), `# Intruder\n${pem}`)
    expect(await publish()).toMatchObject({ act: 'repair' })
    expect((await live()).anchors).not.toContain('CN=Intruder')
  })

  test('after a crash between putting it and recording it, by recording it: versions have no gap', async () => {
    const { store } = world.ports
    const dying = { ...store, transaction: () => Promise.reject(new Error('the process died')) }
    await expect(publishTruststore({}, { ...world.ports, store: dying })).rejects.toThrow('died')
    expect((await live()).version).toBe('1')
    await publish()
    expect((await live()).version).toBe('1')
    expect(await store.truststores.latest()).toMatchObject({ version: 1 })
    expect(await publish()).toMatchObject({ act: 'leave' })
    expect(await types()).toEqual(['Truststore Published'])
  })
})

describe('a restored store', () => {
  /** Publishes version 1, backs up, lets `meanwhile` happen, and gives the ports over the restored store. */
  const restore = async (meanwhile: () => Promise<unknown>) => {
    await publish()
    const copy = join(world.directory, 'backup.db')
    await backupSqlite({ file: world.databaseFile, to: copy })
    await meanwhile()
    const store = await openSqlite({ file: copy })
    return { ...world.ports, store }
  }

  test('behind what was published goes on above the highest version', async () => {
    const ports = await restore(async () => {
      await publish({ force: true })
      await publish({ force: true })
      await writeFile(file(), 'damaged too')
    })
    expect(await publishTruststore({}, ports)).toMatchObject({ act: 'publish', reason: 'restored' })
    expect((await live()).version).toBe('4')
    expect(await ports.store.truststores.latest()).toMatchObject({ version: 4 })
    await ports.store.close()
  })

  test('does not cut off an anchor that it never knew, unless an operator forces it', async () => {
    const ports = await restore(async () => {
      await addPartner('Partner')
      await publish()
    })
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(publishTruststore({}, ports)).rejects.toThrow(
        /live version 2 trusts CN=Partner, unknown to this store/,
      )
    expect((await live()).anchors).toContain('CN=Partner')
    const refused = (await ports.store.events.tail(100)).filter(({ detailType }) => detailType === 'Truststore Refused')
    expect(refused).toHaveLength(1)
    await publishTruststore({ force: true }, ports)
    expect((await live()).anchors).not.toContain('CN=Partner')
    await ports.store.close()
  })
})

describe('no truststore is published that would do harm (P5)', () => {
  test('one that loses an anchor which nobody retired is refused, told once, and the live one stays', async () => {
    const partner = await addPartner('Partner')
    await publish()
    const { store } = world.ports
    const forgetful = {
      ...store,
      transaction: store.transaction.bind(store),
      anchors: { list: async () => (await store.anchors.list()).filter(({ fingerprint }) => fingerprint !== partner) },
    }
    const ports = { ...world.ports, store: forgetful }
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(publishTruststore({}, ports)).rejects.toThrow(`anchor ${partner} would be lost`)
    expect((await live()).anchors).toContain('CN=Partner')
    expect(await types()).toEqual(['Truststore Published', 'Truststore Refused'])
  })

  test('one beyond the limits of a gateway is refused before publication, and the gateway is named', async () => {
    await publish()
    const partners = [await addPartner('Partner'), await addPartner('Another')]
    expect(await planTruststore(world.ports)).toMatchObject({ violations: [expect.stringMatching(/^small: 4 cert/)] })
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(publish()).rejects.toThrow(/small: 4 certificates, the gateway takes 3/)
    expect((await live()).version).toBe('1')
    expect(await types()).toEqual(['Truststore Published', 'Truststore Refused'])
    await setState(partners[0] ?? '', 'retired')
    expect(await publish()).toMatchObject({ act: 'publish' })
  })

  test('one with two anchors of the same subject is refused and told', async () => {
    await addPartner('Partner')
    await addPartner('Partner')
    for (let attempt = 0; attempt < 2; attempt++) await expect(publish()).rejects.toThrow(/each subject must be unique/)
    expect(await types()).toEqual(['Truststore Refused'])
    expect(await world.ports.publication.get(truststoreKey)).toBeNull()
  })

  test('an empty one is refused', async () => {
    for (const { fingerprint } of await world.ports.store.anchors.list()) await setState(fingerprint, 'retired')
    await expect(publish()).rejects.toMatchObject({ code: 'refused' })
    expect(await world.ports.publication.get(truststoreKey)).toBeNull()
  })

  test('of two publishers at once one publishes, and neither breaks what is live', async () => {
    const all = await Promise.allSettled([publish(), publish(), publish()])
    expect(all.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0)
    const latest = await world.ports.store.truststores.latest()
    const bytes = (await world.ports.publication.get(truststoreKey))?.bytes ?? new Uint8Array()
    expect(sha256Hex(bytes)).toBe(latest?.digest)
    expect(await publish()).toMatchObject({ act: 'leave' })
  })
})

describe('a rollback', () => {
  test('publishes the anchors of the earlier version under a new number', async () => {
    await publish()
    const partner = await addPartner('Partner')
    await publish()
    expect(await publish({ rollbackTo: 1 })).toMatchObject({ act: 'publish', reason: 'anchors-changed' })
    expect(await live()).toMatchObject({ version: '3', anchors: expect.not.arrayContaining(['CN=Partner']) })
    expect((await world.ports.store.anchors.list()).find(({ fingerprint }) => fingerprint === partner)?.state).toBe(
      'retired',
    )
    await publish({ rollbackTo: 2 })
    expect(await live()).toMatchObject({ version: '4', anchors: expect.arrayContaining(['CN=Partner']) })
  })

  test('to what is published changes nothing', async () => {
    await publish()
    expect(await publish({ rollbackTo: 1 })).toMatchObject({ act: 'leave', reason: 'unchanged' })
  })

  test('to a version that never was is not found', async () => {
    await publish()
    await expect(publish({ rollbackTo: 7 })).rejects.toMatchObject({ code: 'not-found' })
  })

  test('never rolls out an own authority', async () => {
    const { store } = world.ports
    const [first, ...rest] = await store.anchors.list()
    await setState(first?.fingerprint ?? '', 'retired')
    const root = rest[0]
    const partial = {
      version: 1,
      digest: 'ab'.repeat(32),
      anchors: [root?.fingerprint ?? ''],
      pem: 'x',
      publishedAt: 0,
    }
    await store.transaction((tx) => tx.truststores.insert(partial))
    await setState(first?.fingerprint ?? '', 'active')
    await expect(publish({ rollbackTo: 1 })).rejects.toThrow(/every certificate below it would be refused/)
    expect((await store.anchors.list()).map(({ state }) => state)).toEqual(['active', 'active'])
  })

  test('that a gateway would not take is refused and changes no anchor', async () => {
    const partners = [await addPartner('Partner'), await addPartner('Another')]
    Object.assign(small.limits, { truststoreCertificates: 4 })
    await publish()
    for (const partner of partners) await setState(partner, 'retired')
    await publish()
    Object.assign(small.limits, { truststoreCertificates: 3 })
    await expect(publish({ rollbackTo: 1 })).rejects.toThrow(/small: 4 certificates/)
    const states = (await world.ports.store.anchors.list()).map(({ state }) => state).sort()
    expect(states).toEqual(['active', 'active', 'retired', 'retired'])
    expect(await publish()).toMatchObject({ act: 'leave', reason: 'unchanged' })
  })
})
