import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { crlKey, type Ports } from '../../src/lifecycle/ports.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import { retireDevice } from '../../src/lifecycle/retire-device.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import type { Revocation } from '../../src/model.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import type { Publication } from '../../src/publication/publication.ts'
import { backupSqlite } from '../../src/store/backup.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { day, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

const shard = { authority: 'issuing-g1', shard: 0 }
const live = async (ports: Ports = world.ports) => {
  const artefact = await ports.publication.get(crlKey(shard.authority, 0))
  if (artefact === null) throw new Error('no CRL is published')
  return parseCrl(artefact.bytes)
}
const serials = async (ports?: Ports) => [...(await live(ports)).entries()].map(({ serial }) => serial)
const revoke = (device: TestDevice, ports: Ports = world.ports) =>
  revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, ports)
const types = async () => (await world.ports.store.events.tail(100)).map(({ detailType }) => detailType)

/** A publication that dies at `put`, before or after the bytes are there. */
const dying = (publication: Publication, when: 'before' | 'after'): Publication => ({
  ...publication,
  get: (key) => publication.get(key),
  manifest: (key) => publication.manifest(key),
  async put(...call) {
    if (when === 'after') await publication.put(...call)
    throw new Error('the process died')
  },
})

describe('a revocation is never lost (P4)', () => {
  test('every authority has a CRL from the start, an empty one too', async () => {
    await world.sweep()
    for (const { id } of world.ports.authorities.all) {
      const artefact = await world.ports.publication.get(crlKey(id, 0))
      expect(parseCrl(artefact?.bytes ?? new Uint8Array()).entryCount).toBe(0)
      expect(artefact?.manifest?.count).toBe(0)
    }
  })

  test('a revocation is in the next CRL; with nothing new none is built', async () => {
    const device = await world.enrol('device-1')
    await world.sweep()
    await revoke(device)
    await world.sweep()
    const { number } = await live()
    expect(await serials()).toEqual([device.certificate.serial])
    expect(await publishCrl(shard, world.ports)).toMatchObject({ act: 'leave', reason: 'fresh' })
    await world.sweep()
    expect((await live()).number).toBe(number)
  })

  test.each(['before', 'after'] as const)('dying %s the bytes are published costs nothing', async (when) => {
    const device = await world.enrol('device-1')
    await world.sweep()
    await revoke(device)
    const ports = { ...world.ports, publication: dying(world.ports.publication, when) }
    await expect(publishCrl(shard, ports)).rejects.toThrow('died')
    const before = (await live()).number
    await world.clock.advance(1)
    await world.sweep()
    expect(await serials()).toEqual([device.certificate.serial])
    expect((await live()).number).toBeGreaterThan(before)
    expect(await world.ports.store.revocations.get(device.certificate)).toMatchObject({
      publishedIn: expect.anything(),
    })
  })

  test('a revocation that comes while a CRL is being signed is in the one after it', async () => {
    const [first, second] = [await world.enrol('device-1'), await world.enrol('device-2')]
    await world.sweep()
    await revoke(first)
    const { publication } = world.ports
    const slow: Publication = {
      ...publication,
      get: (key) => publication.get(key),
      manifest: (key) => publication.manifest(key),
      async put(...call) {
        await revoke(second)
        return publication.put(...call)
      },
    }
    await publishCrl(shard, { ...world.ports, publication: slow })
    expect(await serials()).toEqual([first.certificate.serial])
    await world.clock.advance(1)
    await world.sweep()
    expect((await serials()).sort()).toEqual([first.certificate.serial, second.certificate.serial].sort())
  })

  test('two publishers at once: one wins, the other is refused, and nothing is lost', async () => {
    const device = await world.enrol('device-1')
    await world.sweep()
    await revoke(device)
    await world.clock.advance(1)
    const all = await Promise.allSettled([publishCrl(shard, world.ports), publishCrl(shard, world.ports)])
    expect(all.some(({ status }) => status === 'fulfilled')).toBe(true)
    expect(await serials()).toEqual([device.certificate.serial])
  })

  test('a restored backup neither un-revokes nor repeats a number', async () => {
    const [first, second] = [await world.enrol('device-1'), await world.enrol('device-2')]
    await revoke(first)
    await world.sweep()
    const copy = join(world.directory, 'backup.db')
    await backupSqlite({ file: world.databaseFile, to: copy })
    await world.clock.advance(1_000)
    await revoke(second)
    await world.sweep()
    const before = await live()
    const restored = { ...world.ports, store: await openSqlite({ file: copy }) }
    try {
      expect(await restored.store.revocations.get(second.certificate)).toBeNull()
      await world.clock.advance(1_000)
      await publishCrl({ ...shard, force: true }, restored)
      const after = await live()
      expect(after.number).toBeGreaterThan(before.number)
      expect((await serials()).sort()).toEqual([first.certificate.serial, second.certificate.serial].sort())
      expect((await restored.store.certificates.get(second.certificate))?.state).toBe('revoked')
    } finally {
      await restored.store.close()
    }
  })

  test('a clock that went back does not make the number shrink', async () => {
    await world.sweep()
    const before = (await live()).number
    world.clock.set(world.clock.now() - 30 * day)
    await publishCrl({ ...shard, force: true }, world.ports).catch(() => undefined)
    expect((await live()).number).toBeGreaterThanOrEqual(before)
  })

  test('a CRL that somebody removed or damaged is published again, with every entry and a larger number', async () => {
    const device = await world.enrol('device-1')
    await revoke(device)
    await world.sweep()
    const { number } = await live()
    const file = join(world.directory, 'published', crlKey(shard.authority, 0))
    await rm(file)
    expect(await publishCrl(shard, world.ports)).toMatchObject({ act: 'publish', reason: 'missing' })
    expect((await live()).number).toBeGreaterThan(number)
    await writeFile(file, 'not a CRL')
    expect(await publishCrl(shard, world.ports)).toMatchObject({ act: 'publish', reason: 'missing' })
    expect(await serials()).toEqual([device.certificate.serial])
  })
})

describe('no CRL is published unread (P5)', () => {
  test('one that would lose an entry of the live one is refused, told once, and the live one stays', async () => {
    const device = await world.enrol('device-1')
    await revoke(device)
    await world.sweep()
    const before = await live()
    const forgetful: Ports = {
      ...world.ports,
      store: {
        ...world.ports.store,
        transaction: (work) => world.ports.store.transaction(work),
        revocations: {
          ...world.ports.store.revocations,
          forCrl: async () => ({ mark: 0, published: 0, chunks: ReadableStream.from<Revocation[]>([]) }),
        },
      },
    }
    await world.clock.advance(1_000)
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(publishCrl({ ...shard, force: true }, forgetful)).rejects.toThrow(/missing here before one CRL past/)
    expect((await live()).number).toBe(before.number)
    expect((await types()).filter((type) => type === 'CRL Refused')).toHaveLength(1)
  })

  test('one that its authority signed wrongly is refused', async () => {
    await world.sweep()
    const { issuing } = world.ports.authorities
    const flipped: Ports['authorities'] = {
      issuing,
      all: world.ports.authorities.all.map((authority) => ({
        ...authority,
        crlSigner: {
          async signCrl(order) {
            if (authority.crlSigner === null) throw new Error(`${authority.id} signs no CRLs`)
            const wrong = Uint8Array.from((await authority.crlSigner.signCrl(order)).der)
            wrong[wrong.length - 1] = (wrong[wrong.length - 1] ?? 0) ^ 1
            return parseCrl(wrong)
          },
        },
      })),
    }
    await expect(publishCrl({ ...shard, force: true }, { ...world.ports, authorities: flipped })).rejects.toThrow(
      /signature does not verify/,
    )
  })

  test('one past its nextUpdate is told as stale', async () => {
    await world.sweep()
    await world.clock.advance(8 * day)
    await publishCrl(shard, world.ports)
    expect(await types()).toContain('CRL Stale')
  })
})

test('what was obtained by a revoked certificate and not yet used is revoked with it', async () => {
  const device = await world.enrol('device-1')
  await world.contact(device)
  const successor = await world.renew(device)
  const { serials: revoked } = await revoke(device)
  expect(revoked).toEqual([device.certificate.serial, successor.certificate.serial])
})

test('a retired device loses everything that it could still use, the superseded certificate too', async () => {
  const device = await world.enrol('device-1')
  await world.contact(device)
  await world.contact(await world.renew(device))
  expect(await retireDevice({ device: 'device-1', reason: 'cessationOfOperation' }, world.ports)).toEqual({
    revoked: 2,
  })
  await world.sweep()
  expect(await serials()).toHaveLength(2)
})
