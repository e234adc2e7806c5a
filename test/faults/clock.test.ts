import { afterEach, expect, test } from 'vitest'
import { checkIn } from '../../src/lifecycle/check-in.ts'
import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import { crlKey } from '../../src/lifecycle/ports.ts'
import { revokeCertificate } from '../../src/lifecycle/revoke-certificate.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import { day, deviceProfile, makeWorld, type TestDevice, type World } from '../support/world.ts'

const reuse = { ...deviceProfile, name: 'reuse', renewal: { ...deviceProfile.renewal, keys: 'reuse' as const } }
let world: World
afterEach(() => world.stop())

const liveCrl = async () => {
  const artefact = await world.ports.publication.get(crlKey('issuing-g1', 0))
  const crl = parseCrl(artefact?.bytes ?? new Uint8Array())
  return { number: crl.number, thisUpdate: new Date(crl.thisUpdate).toISOString(), next: new Date(crl.nextUpdate).toISOString(), serials: [...crl.entries()].length }
}
const told = async (after: number) => {
  const events = await world.ports.store.events.after(after, 10_000)
  const counts: Record<string, number> = {}
  for (const { detailType } of events) counts[detailType] = (counts[detailType] ?? 0) + 1
  return { counts, last: events.at(-1)?.sequence ?? after }
}
const askNow = async (device: TestDevice) => {
  const client = await identifyDevice({ certificate: device.certificate.der, purpose: 'read' }, world.ports)
  const request = { agent: '1.0', time: 'x', trustAnchors: null, crl: null, error: null }
  return (await checkIn({ client, request }, world.ports)).renew.now
}

test.each([365, -365])('x %i', async (days) => {
  world = await makeWorld({ profiles: [deviceProfile, reuse] })
  const devices: TestDevice[] = []
  for (let i = 0; i < 20; i++) {
    const device = await world.enrol(`d-${i}`, { profile: i < 10 ? 'device' : 'reuse' })
    await world.contact(device)
    devices.push(device)
    await world.clock.advance(day / 2)
  }
  for (const device of devices.slice(0, 2)) await revokeCertificate({ key: device.certificate, reason: 'keyCompromise' }, world.ports)
  await world.pass(3000, 1000)
  const certs = async () => (await world.ports.store.certificates.list({ limit: 1000 })).length
  let { last } = await told(0)
  console.log('before', await liveCrl(), await certs(), await world.ports.store.certificates.count())
  const real = world.clock.now()
  world.clock.set(real + days * day)
  await world.pass(5000, 1000)
  await revokeCertificate({ key: devices[3]!.certificate, reason: 'keyCompromise' }, world.ports)
  await world.pass(5000, 1000)
  const t = await told(last)
  console.log('jumped', t.counts, await liveCrl(), await certs(), await world.ports.store.certificates.count())
  world.clock.set(real + 10_000)
  await world.pass(5000, 1000)
  await world.pass(60_000, 20_000)
  const t2 = await told(t.last)
  console.log('back', t2.counts, await liveCrl(), await certs(), await world.ports.store.certificates.count())
  const asked = await Promise.all(devices.slice(4).map((d) => askNow(d).catch((e) => String(e))))
  console.log(asked)
  for (const d of [devices[5]!, devices[15]!]) console.log(await world.renew(d, d.key).then((r) => `${new Date(r.certificate.notBefore).toISOString()} ${r.certificate.state}`, (e) => String(e)))
  console.log('later'); await world.pass(70 * day, day)
  const t3 = await told(t2.last)
  console.log('later', t3.counts, await liveCrl(), await certs(), await world.ports.store.certificates.count())
})
