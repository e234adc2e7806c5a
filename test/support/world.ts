import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialiseLocalAuthorities, openLocalAuthorities } from '../../src/authority/local.ts'
import { type DetailType, eventSchemas } from '../../src/events/catalogue.ts'
import { jobTable } from '../../src/jobs/index.ts'
import { createScheduler } from '../../src/jobs/scheduler.ts'
import { confirmCertificate } from '../../src/lifecycle/confirm-certificate.ts'
import { createToken } from '../../src/lifecycle/create-token.ts'
import { deliverCertificate } from '../../src/lifecycle/deliver-certificate.ts'
import { enrolDevice } from '../../src/lifecycle/enrol-device.ts'
import { identifyDevice } from '../../src/lifecycle/identify-device.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { registerAuthorities } from '../../src/lifecycle/register-authorities.ts'
import { renewCertificate } from '../../src/lifecycle/renew-certificate.ts'
import type { Certificate, Duration, Profile } from '../../src/model.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { createDirectoryPublication } from '../../src/publication/directory.ts'
import { createInProcessQueue } from '../../src/queue/in-process.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { type FakeClock, fakeClock } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'
import { type FakeSink, fakeSink } from '../fakes/sink.ts'
import { makeCsr, makeKey, type TestKey } from './certificates.ts'

export const day: Duration = 86_400_000

/** Two years have thousands of flushes: in memory where the system has it. */
const memoryDirectory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export const deviceProfile: Profile = {
  name: 'device',
  validity: 90 * day,
  keys: ['ec-p256', 'ec-p384', 'rsa-2048'],
  subject: { CN: '{device}' },
  san: { dns: [], uri: ['spiffe://everleaf.test/device/{device}'] },
  renewal: { keys: 'rekey', after: 2 / 3, jitter: 0.1, grace: 0, burst: 10 },
  alerts: { expiry: [45, 30, 14, 7, 3, 1].map((count) => count * day), overdueAfter: 0.05 },
}

/** What a device holds: its newest certificate and the key of it. */
export interface TestDevice {
  id: string
  certificate: Certificate
  key: TestKey
}

export interface World {
  clock: FakeClock
  ports: Ports
  sink: FakeSink
  directory: string
  databaseFile: string
  /** Looks for everything due now and does it, to the end. */
  sweep(): Promise<void>
  /** Lets time pass in steps, sweeping after each. */
  pass(duration: Duration, step: Duration): Promise<void>
  enrol(id: string, options?: { profile?: string; labels?: Record<string, string> }): Promise<TestDevice>
  /** One authenticated contact: identifies and confirms. */
  contact(device: TestDevice): Promise<void>
  /** Renews with a new key (or `key`), as far as the answer; the successor is not used yet. */
  renew(device: TestDevice, key?: TestKey): Promise<TestDevice>
  stop(): Promise<void>
}

export interface WorldOptions {
  profiles?: readonly Profile[]
  start?: number
  gateways?: Ports['gateways']
  settings?: Partial<Ports['settings']>
  wrap?: (ports: Ports) => Ports
}

/** A whole server without its listeners: real store, real authorities, real publication, time under control. */
export const makeWorld = async (options: WorldOptions = {}): Promise<World> => {
  const directory = await mkdtemp(join(memoryDirectory, 'everleaf-world-'))
  const clock = fakeClock(options.start)
  const random = seededRandom()
  const sink = fakeSink()
  const authorityDirectory = join(directory, 'authority')
  const passphrase = 'a passphrase for tests'
  const publicUrl = 'http://crl.everleaf.test'
  const root = { validity: 3_650 * day, key: 'ec-p384' as const }
  const issuing = { validity: 1_825 * day, key: 'ec-p256' as const }
  const made = { directory: authorityDirectory, name: 'Test', root, issuing, passphrase, publicUrl, clock, random }
  await initialiseLocalAuthorities(made)
  const databaseFile = join(directory, 'everleaf.db')
  const profiles = options.profiles ?? [deviceProfile]
  const plain: Ports = {
    store: await openSqlite({ file: databaseFile }),
    clock,
    random,
    authorities: await openLocalAuthorities({ directory: authorityDirectory, passphrase, clock }),
    publication: createDirectoryPublication({ directory: join(directory, 'published'), clock }),
    gateways: options.gateways ?? new Map(),
    sinks: new Map([[sink.name, sink]]),
    profiles: new Map(profiles.map((profile) => [profile.name, profile])),
    listener: null,
    settings: {
      publicUrl,
      crl: { validity: 7 * day, refresh: day },
      listener: { profile: { ...deviceProfile, name: 'listener', validity: 30 * day }, names: ['localhost'] },
      retention: { certificates: 365 * day, events: 30 * day },
      ...options.settings,
    },
  }
  const ports = options.wrap?.(plain) ?? plain
  await registerAuthorities(ports)
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const queue = createInProcessQueue({ clock, random })
  const jobs = jobTable(ports, { sweep: '* * * * * *', coalesce: 0 })
  const scheduler = createScheduler({ clock, queue, jobs, log })

  const sweep = async () => {
    await scheduler.tick()
    await queue.idle()
  }
  const identify = (device: TestDevice, purpose: 'renew' | 'read') =>
    identifyDevice({ certificate: device.certificate.der, purpose }, ports)

  return {
    clock,
    ports,
    sink,
    directory,
    databaseFile,
    sweep,
    async pass(duration, step) {
      for (let passed = 0; passed < duration; passed += step) {
        await clock.advance(step)
        await sweep()
      }
    },
    async enrol(id, { profile = 'device', labels = {} } = {}) {
      const { token } = await createToken({ device: id, profile, ttl: 3_600_000, labels }, ports)
      const key = makeKey()
      const csr = parseCsr((await makeCsr({ key, subject: id })).der)
      const certificate = await enrolDevice({ user: id, token, label: null, csr }, ports)
      await deliverCertificate(certificate, ports)
      return { id, certificate, key }
    },
    async contact(device) {
      await confirmCertificate(await identify(device, 'read'), ports)
    },
    async renew(device, key = makeKey()) {
      const client = await identify(device, 'renew')
      const { dns = [], uri = [], ip = [] } = client.parsed.subjectAlternativeName?.names ?? {}
      const csr = parseCsr((await makeCsr({ key, subject: device.id, san: { dns, uri, ip } })).der)
      await confirmCertificate(client, ports)
      const certificate = await renewCertificate({ client, label: null, csr }, ports)
      await deliverCertificate(certificate, ports)
      return { id: device.id, certificate, key }
    },
    async stop() {
      await scheduler.stop()
      await queue.close(1_000)
      // Whatever a test made the verbs tell must keep to the catalogue.
      for (const { detailType, detail } of await plain.store.events.tail(10_000))
        eventSchemas[detailType as DetailType].parse(detail)
      await plain.store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
