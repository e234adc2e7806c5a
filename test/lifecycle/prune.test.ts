import { afterEach, beforeEach, expect, test } from 'vitest'
import { createToken } from '../../src/lifecycle/create-token.ts'
import { crlKey } from '../../src/lifecycle/ports.ts'
import { prune } from '../../src/lifecycle/prune.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { tokenHash } from '../../src/lifecycle/token-hash.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import { day, makeWorld, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld({ settings: { retention: { certificates: 10 * day, events: 5 * day } } })
})
afterEach(() => world.stop())

const shard = { authority: 'issuing-g1', shard: 0 }
const publish = async () => {
  await world.clock.advance(1)
  await publishCrl({ ...shard, force: true }, world.ports)
}
const live = async () => {
  const artefact = await world.ports.publication.get(crlKey(shard.authority, 0))
  return [...parseCrl(artefact?.bytes ?? new Uint8Array()).entries()].map(({ serial }) => serial)
}
const revoked = async (id: string) => {
  const { certificate } = await world.enrol(id)
  await revokeCertificate({ key: certificate, reason: 'keyCompromise' }, world.ports)
  return certificate
}

test('what nobody needs is removed: events that all sinks have, tokens, certificates that ended long ago', async () => {
  const { store } = world.ports
  const { token } = await createToken({ device: 'device-2', profile: 'device', ttl: day, labels: {} }, world.ports)
  const { certificate } = await world.enrol('device-1')
  await world.sweep()
  expect(await prune(world.ports)).toMatchObject({ act: 'leave', reason: 'nothing-old' })
  await world.pass(105 * day, 5 * day)
  expect(await store.tokens.get(tokenHash(token))).toBeNull()
  expect(await store.certificates.get(certificate)).toBeNull()
  expect((await store.events.tail(1_000)).map(({ detailType }) => detailType)).not.toContain('Certificate Issued')
})

test('an event that a sink has not got, or has parked, stays', async () => {
  const { store } = world.ports
  await world.enrol('device-1')
  const [parked] = await store.events.tail(100)
  world.sink.refuse(parked?.id ?? '')
  await world.sweep()
  world.sink.down()
  await world.enrol('device-2')
  const before = await store.events.tail(100)
  await world.clock.advance(50 * day)
  await prune(world.ports)
  const left = (await store.events.tail(1_000)).map(({ id }) => id)
  expect(left).toContain(parked?.id)
  for (const { id } of before.filter(({ subject }) => subject === 'device-2')) expect(left).toContain(id)
})

test('a revocation that no CRL holds yet stays, however old its certificate, and is published', async () => {
  const certificate = await revoked('device-1')
  await world.clock.advance(200 * day)
  await prune(world.ports)
  await publish()
  expect(await live()).toEqual([certificate.serial])
})

test('a revocation that the live CRL holds stays, so that the next CRL can be checked against it', async () => {
  const certificate = await revoked('device-1')
  await publish()
  await world.clock.advance(200 * day)
  await prune(world.ports)
  await publish()
  expect(await live()).toEqual([certificate.serial])
  await prune(world.ports)
  expect(await world.ports.store.certificates.get(certificate)).not.toBeNull()
  await publish()
  expect(await live()).toEqual([])
  await publish()
  expect(await world.ports.store.revocations.get(certificate)).toBeNull()
  await prune(world.ports)
  expect(await world.ports.store.certificates.get(certificate)).toBeNull()
})

test('a certificate that expired stays as long as the retention says', async () => {
  const { certificate } = await world.enrol('device-1')
  await world.pass(98 * day, 7 * day)
  expect(await world.ports.store.certificates.get(certificate)).toMatchObject({ state: 'expired' })
})
