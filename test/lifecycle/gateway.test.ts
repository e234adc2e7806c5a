import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { crlKey } from '../../src/lifecycle/ports.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import { publishTruststore } from '../../src/lifecycle/publish-truststore.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { syncGateway } from '../../src/lifecycle/sync-gateway.ts'
import { parseCrlBundle, parseTruststore } from '../../src/pki/truststore.ts'
import { type FakeGateway, fakeGateway } from '../fakes/gateway.ts'
import { makeWorld, type World } from '../support/world.ts'

let world: World
let gateway: FakeGateway
let other: FakeGateway
beforeEach(async () => {
  gateway = fakeGateway()
  other = fakeGateway({ name: 'other' })
  world = await makeWorld({ gateways: new Map([gateway, other].map((each) => [each.name, each])) })
})
afterEach(() => world.stop())

const sync = (force = false) => syncGateway({ gateway: 'edge', force }, world.ports)
const recorded = () => world.ports.store.gateways.get('edge')
const told = async () =>
  (await world.ports.store.events.tail(200))
    .filter(({ subject }) => subject === 'edge')
    .map(({ detailType }) => detailType)
const publish = async () => {
  await publishTruststore({}, world.ports)
  for (const { id } of world.ports.authorities.all) await publishCrl({ authority: id, shard: 0 }, world.ports)
}
const revokeOne = async (id: string) => {
  const device = await world.enrol(id)
  await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, world.ports)
  return device.certificate.serial
}
const enforcedSerials = () =>
  parseCrlBundle(gateway.enforced?.crl.pem ?? '').flatMap((crl) => [...crl.entries()].map(({ serial }) => serial))

describe('a gateway is brought to the current artefacts', () => {
  test('not before a truststore and the CRL of every authority are published', async () => {
    expect(await sync()).toMatchObject({ act: 'leave', reason: 'nothing-published' })
    await publishTruststore({}, world.ports)
    await publishCrl({ authority: 'issuing-g1', shard: 0 }, world.ports)
    expect(await sync()).toMatchObject({ act: 'leave', reason: 'nothing-published' })
    expect(gateway.enforced).toBeNull()
    expect(await recorded()).toBeNull()
  })

  test('for the first time, with the whole chain and a CRL of each authority, and is told of once', async () => {
    await publish()
    expect(await sync()).toMatchObject({ act: 'apply', reason: 'first' })
    const { all } = world.ports.authorities
    expect(parseTruststore(gateway.enforced?.truststore.pem ?? '')).toHaveLength(all.length)
    expect(parseCrlBundle(gateway.enforced?.crl.pem ?? '')).toHaveLength(all.length)
    expect(await sync()).toMatchObject({ act: 'leave', reason: 'current' })
    expect(await recorded()).toMatchObject({ state: 'current', truststoreVersion: 1, message: '' })
    expect(await told()).toEqual(['Gateway Updated'])
    expect(gateway.reloads).toBe(1)
  })

  test('when a new CRL was published', async () => {
    await publish()
    await sync()
    const serial = await revokeOne('device-1')
    await world.clock.advance(1)
    await publish()
    expect(await sync()).toMatchObject({ act: 'apply', reason: 'outdated' })
    expect(enforcedSerials()).toEqual([serial])
  })

  test('again when asked for, though nothing changed', async () => {
    await publish()
    await sync()
    expect(await sync(true)).toMatchObject({ act: 'apply', reason: 'forced' })
    expect(gateway.reloads).toBe(2)
  })

  test('an unknown one is not found, and the message names those there are', async () => {
    await expect(syncGateway({ gateway: 'egde' }, world.ports)).rejects.toThrow(
      /no gateway egde; there are edge, other/,
    )
  })
})

describe('a gateway that somebody else changed', () => {
  test.each([
    ['its truststore', { truststoreSha256: 'ab'.repeat(32) }],
    ['its CRL', { crlSha256: null }],
  ])('%s: is told of once and mended', async (_, change) => {
    await publish()
    await sync()
    gateway.tamper(change)
    expect(await sync()).toMatchObject({ act: 'apply', reason: 'drifted' })
    expect(await sync()).toMatchObject({ act: 'leave', reason: 'current' })
    expect(await told()).toEqual(['Gateway Updated', 'Gateway Drifted', 'Gateway Updated'])
  })

  test('and that cannot be mended at once is told of as drifted once', async () => {
    await publish()
    await sync()
    gateway.tamper({ truststoreSha256: null })
    gateway.refuse('the test of its configuration failed')
    for (let attempt = 0; attempt < 3; attempt++) await expect(sync()).rejects.toThrow()
    expect(await told()).toEqual(['Gateway Updated', 'Gateway Drifted', 'Gateway Warning'])
  })
})

describe('a gateway that fails', () => {
  test.each([
    ['refuses', () => gateway.refuse('the test of its configuration failed'), 'refused'],
    ['cannot be reached', () => gateway.down(), 'unavailable'],
  ] as const)(
    'since it %s: keeps its version, is told of once, and mended when it works again',
    async (_, fail, code) => {
      await publish()
      await sync()
      const before = gateway.enforced
      await revokeOne('device-1')
      await world.clock.advance(1)
      await publish()
      fail()
      for (let attempt = 0; attempt < 3; attempt++) await expect(sync()).rejects.toMatchObject({ code })
      expect(gateway.enforced).toBe(before)
      expect(await recorded()).toMatchObject({
        state: 'failed',
        truststoreVersion: 1,
        message: expect.stringMatching(/edge/),
      })
      gateway.up()
      gateway.accept()
      expect(await sync()).toMatchObject({ act: 'apply', reason: 'failed-before' })
      expect(enforcedSerials()).toHaveLength(1)
      expect(await told()).toEqual(['Gateway Updated', 'Gateway Warning', 'Gateway Updated'])
    },
  )

  test('another fault of it is told again', async () => {
    await publish()
    gateway.refuse('one fault')
    await expect(sync()).rejects.toThrow()
    gateway.refuse('another fault')
    await expect(sync()).rejects.toThrow()
    expect(await told()).toEqual(['Gateway Warning', 'Gateway Warning'])
  })

  test('does not hold back another gateway', async () => {
    gateway.down()
    await world.sweep()
    await world.sweep()
    expect(other.enforced).not.toBeNull()
    expect(await recorded()).toMatchObject({ state: 'failed' })
  })

  test('is retried by itself, and gets what was published meanwhile', async () => {
    await world.sweep()
    gateway.down()
    const serial = await revokeOne('device-1')
    await world.pass(5_000, 1_000)
    gateway.up()
    await world.pass(600_000, 10_000)
    expect(enforcedSerials()).toEqual([serial])
    expect(await recorded()).toMatchObject({ state: 'current', message: '' })
  })

  test('one that cannot take so large a CRL keeps the one it has, and is told of', async () => {
    await publish()
    await sync()
    Object.assign(gateway.limits, { crlBytes: 100 })
    await expect(sync(true)).rejects.toThrow(/gateway edge: the CRLs have \d+ bytes, it takes 100/)
    expect(gateway.reloads).toBe(1)
    expect(await told()).toEqual(['Gateway Updated', 'Gateway Warning'])
  })
})

describe('no gateway gets a CRL that is not the recorded one', () => {
  const file = () => join(world.directory, 'published', crlKey('issuing-g1', 0))

  test('an older one that somebody put back does not un-revoke anybody', async () => {
    await publish()
    const old = (await world.ports.publication.get(crlKey('issuing-g1', 0)))?.bytes ?? new Uint8Array()
    const serial = await revokeOne('device-1')
    await world.clock.advance(1)
    await publish()
    await sync()
    await writeFile(file(), old)
    expect(await sync()).toMatchObject({ act: 'leave', reason: 'nothing-published' })
    expect(enforcedSerials()).toEqual([serial])
    await world.pass(60_000, 60_000)
    expect(enforcedSerials()).toEqual([serial])
  })

  test('one that was removed is published again within a minute, and the gateway follows', async () => {
    await world.sweep()
    await rm(file())
    await world.clock.advance(60_000)
    await world.sweep()
    await world.sweep()
    expect(await world.ports.publication.get(crlKey('issuing-g1', 0))).not.toBeNull()
    expect(await sync()).toMatchObject({ act: 'leave', reason: 'current' })
  })
})

test('what is published while a gateway reloads reaches it right after, not a minute later', async () => {
  await world.sweep()
  const first = await revokeOne('device-1')
  let second = ''
  await world.clock.advance(1_000)
  gateway.during(async () => {
    second = await revokeOne('device-2')
    await world.clock.advance(1)
    await publishCrl({ authority: 'issuing-g1', shard: 0 }, world.ports)
  })
  await world.pass(3_000, 1_000)
  expect(enforcedSerials().sort()).toEqual([first, second].sort())
})
