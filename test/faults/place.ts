import { existsSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialiseLocalAuthorities, openLocalAuthorities } from '../../src/authority/local.ts'
import type { FileSystem } from '../../src/durable-files.ts'
import { jobTable } from '../../src/jobs/index.ts'
import { createScheduler } from '../../src/jobs/scheduler.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { openListenerDirectory } from '../../src/listener/directory.ts'
import type { Duration, EventRecord, Instant, Profile } from '../../src/model.ts'
import { createDirectoryPublication } from '../../src/publication/directory.ts'
import { createInProcessQueue } from '../../src/queue/in-process.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { type FakeClock, fakeClock } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'
import { fileGateway } from './file-gateway.ts'
import { deliveredTo, fileSink } from './file-sink.ts'

/** These tests flush thousands of times: in memory where the system has it. */
export const memoryDirectory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const day: Duration = 86_400_000
const sinkFile = 'delivered.jsonl'
const passphrase = 'a passphrase for tests'

const profile = (name: string, keys: Profile['renewal']['keys']): Profile => ({
  name,
  validity: 90 * day,
  keys: ['ec-p256'],
  subject: { CN: '{device}' },
  san: { dns: [], uri: ['spiffe://everleaf.test/device/{device}'] },
  renewal: { keys, after: 2 / 3, jitter: 0.1, grace: 0, burst: 10 },
  alerts: { expiry: [45, 30, 14, 7, 3, 1].map((count) => count * day), overdueAfter: 0.05 },
})

const settings: Ports['settings'] = {
  publicUrl: 'http://crl.everleaf.test',
  crl: { validity: 7 * day, refresh: day },
  listener: { profile: { ...profile('listener', 'rekey'), validity: 30 * day }, names: ['localhost'] },
  retention: { certificates: 3_650 * day, events: 3_650 * day },
}

/** A server without listeners in a directory that can be copied, closed and opened again: what a restart finds. */
export interface Place {
  ports: Ports
  clock: FakeClock
  /** Lets time pass in steps; after each, the scheduler and the queue do everything that is due. */
  pass(duration: Duration, step: Duration): Promise<void>
  close(): Promise<void>
}

export interface PlaceOptions {
  directory: string
  now: Instant
  /** Another one at each opening, or serial numbers would come again. */
  seed: number
  wrap?(ports: Ports): Ports
  files?: FileSystem
  /** Opened before, to save time. */
  authorities?: Ports['authorities']
}

/** Makes the CAs in an empty directory. */
export const makePlace = async (directory: string, now: Instant): Promise<void> => {
  const root = { validity: 3_650 * day, key: 'ec-p256' as const }
  const issuing = { validity: 1_825 * day, key: 'ec-p256' as const }
  const [clock, random] = [fakeClock(now), seededRandom()]
  const { publicUrl } = settings
  await mkdir(directory, { recursive: true })
  const made = { directory: join(directory, 'authority'), name: 'Test', root, issuing }
  await initialiseLocalAuthorities({ ...made, passphrase, publicUrl, clock, random })
}

export const copyPlace = (from: string, to: string): Promise<void> => cp(from, to, { recursive: true })

export const openPlace = async ({ directory, now, seed, wrap, files, authorities }: PlaceOptions): Promise<Place> => {
  const clock = fakeClock(now)
  const random = seededRandom(seed)
  const sink = fileSink(join(directory, sinkFile))
  const store = await openSqlite({ file: join(directory, 'everleaf.db') })
  const plain: Ports = {
    store,
    clock,
    random,
    authorities:
      authorities ?? (await openLocalAuthorities({ directory: join(directory, 'authority'), passphrase, clock })),
    publication: createDirectoryPublication({ directory: join(directory, 'published'), clock, files }),
    gateways: new Map([['edge', fileGateway('edge', join(directory, 'gateway.json'))]]),
    sinks: new Map([[sink.name, sink]]),
    profiles: new Map([profile('device', 'rekey'), profile('reuse', 'reuse')].map((each) => [each.name, each])),
    listener: await openListenerDirectory(join(directory, 'listener')),
    settings,
  }
  const ports = wrap?.(plain) ?? plain
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const queue = createInProcessQueue({ clock, random })
  const jobs = jobTable(ports, { sweep: '* * * * * *', coalesce: 0 })
  const scheduler = createScheduler({ clock, queue, jobs, log })
  return {
    ports,
    clock,
    async pass(duration, step) {
      for (let passed = 0; passed < duration; passed += step) {
        await clock.advance(step)
        await scheduler.tick()
        await queue.idle()
      }
    },
    async close() {
      await scheduler.stop()
      await queue.close(0)
      await store.close()
    },
  }
}

/** Every event that was delivered there, in the order of arrival, repeats too. */
export const deliveredAt = (directory: string): EventRecord[] => deliveredTo(join(directory, sinkFile))
