import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openLocalAuthorities } from '../../src/authority/local.ts'
import { initialise } from '../../src/cli/initialise.ts'
import { systemClock } from '../../src/clock/system.ts'
import { type Config, loadConfig, readSecret } from '../../src/config.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { createDirectoryPublication } from '../../src/publication/directory.ts'
import { systemRandom } from '../../src/random/system.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { freePort } from '../support/server.ts'

/** The data directory of a server: `everleaf.yaml`, CAs, database. */
export interface Place {
  config: Config
  file: string
}

/** Makes one as `everleaf init` does, on free ports, with a profile that may renew as often as a bench wants. */
export const makePlace = async (directory: string): Promise<Place> => {
  await mkdir(directory, { recursive: true })
  const file = join(directory, 'everleaf.yaml')
  const [device, open, admin] = [await freePort(), await freePort(), await freePort()]
  const settings = {
    data: '.',
    listen: {
      device: { host: '127.0.0.1', port: device, url: `https://localhost:${device}`, names: ['localhost'] },
      public: { host: '127.0.0.1', port: open, url: `http://localhost:${open}` },
      admin: { host: '127.0.0.1', port: admin },
    },
    profiles: { device: { renewal: { burst: 1_000_000 } } },
    events: { log: false },
  }
  await writeFile(file, JSON.stringify(settings))
  const config = loadConfig({ file, environment: {} })
  await initialise(config, { clock: systemClock, random: systemRandom })
  return { config, file }
}

/** The adapters of a real server over a place, without its listeners and jobs. */
export const openPorts = async ({ config }: Pick<Place, 'config'>): Promise<Ports & { close(): Promise<void> }> => {
  const passphrase = readSecret(config.authority.passphrase, 'authority.passphrase')
  const directory = join(config.data, 'authority')
  const store = await openSqlite({ file: config.store.file })
  return {
    store,
    clock: systemClock,
    random: systemRandom,
    authorities: await openLocalAuthorities({ directory, passphrase, clock: systemClock }),
    publication: createDirectoryPublication({ directory: config.publication.directory, clock: systemClock }),
    gateways: new Map(),
    sinks: new Map(),
    profiles: new Map(Object.entries(config.profiles)),
    listener: null,
    settings: {
      publicUrl: config.listen.public.url,
      crl: config.crl,
      listener: { profile: config.listenerProfile, names: config.listen.device.names },
      retention: config.retention,
    },
    close: () => store.close(),
  }
}

export const reopen = (file: string): Place => ({ config: loadConfig({ file, environment: {} }), file })
