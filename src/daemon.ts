import { join } from 'node:path'
import type { Logger } from 'pino'
import { createMetrics } from './api/admin/metrics.ts'
import { createAdminServer } from './api/admin/server.ts'
import { createDeviceServer } from './api/device/server.ts'
import type { HttpListener } from './api/http/listener.ts'
import { createPublicServer } from './api/public/server.ts'
import { openLocalAuthorities } from './authority/local.ts'
import { systemClock } from './clock/system.ts'
import { type Config, readSecret } from './config.ts'
import type { EventSink } from './events/events.ts'
import { createLogSink } from './events/log.ts'
import { createWebhookSink } from './events/webhook.ts'
import { createCommandGateway } from './gateway/command.ts'
import { jobTable } from './jobs/index.ts'
import { createScheduler } from './jobs/scheduler.ts'
import type { Ports } from './lifecycle/ports.ts'
import { readiness } from './lifecycle/readiness.ts'
import { recordProfiles } from './lifecycle/record-profiles.ts'
import { registerAuthorities } from './lifecycle/register-authorities.ts'
import { renewListener } from './lifecycle/renew-listener.ts'
import { openListenerDirectory } from './listener/directory.ts'
import { watchListenerFiles } from './listener/files.ts'
import type { ListenerIdentity, ListenerSource } from './listener/listener.ts'
import type { Duration } from './model.ts'
import { sha256Hex } from './pki/digest.ts'
import { createDirectoryPublication } from './publication/directory.ts'
import { createInProcessQueue } from './queue/in-process.ts'
import { systemRandom } from './random/system.ts'
import { openSqlite } from './store/sqlite.ts'
import { version } from './version.ts'

export interface Daemon {
  /** Where each listener is really bound. */
  addresses: { device: string; public: string; admin: string }
  /** Stops taking work, finishes what runs, closes everything. */
  close(): Promise<void>
}

/** How long requests and jobs get to finish when the server stops. */
const stopDeadline: Duration = 10_000

/** What an operator's change can make due. */
const followUps = ['publish-crl', 'publish-truststore', 'deliver-events'] as const

const clock = systemClock
const random = systemRandom

/** The composition root: configuration → adapters → jobs and listeners. What was opened is closed again when a later step fails. */
export const startDaemon = async ({ config, log }: { config: Config; log: Logger }): Promise<Daemon> => {
  const opened = new AsyncDisposableStack()
  try {
    const token = readSecret({ file: config.listen.admin.tokenFile }, 'admin token')
    const source = await openListener(config, log, opened)
    const ports = await openPorts(config, { log, source }, opened)
    await registerAuthorities(ports)
    await recordProfiles(ports)
    await renewListener({}, ports)
    const addresses = await listen(config, { ports, source, token, log }, opened)
    return { addresses, close: () => opened.disposeAsync() }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

interface Listener {
  source: ListenerSource
  /** Null where the certificate is given by files. */
  identity: ListenerIdentity | null
}

const openListener = async (config: Config, log: Logger, opened: AsyncDisposableStack): Promise<Listener> => {
  const files = config.listen.device.certificate
  if (files === null) {
    const directory = await openListenerDirectory(join(config.data, 'listener'))
    return { source: directory, identity: directory }
  }
  const watched = await watchListenerFiles({ ...files, clock, onProblem: (message) => log.error(message) })
  opened.defer(() => watched.stop())
  return { source: watched, identity: null }
}

const openPorts = async (
  config: Config,
  { log, source }: { log: Logger; source: Listener },
  opened: AsyncDisposableStack,
): Promise<Ports> => {
  const passphrase = readSecret(config.authority.passphrase, 'authority.passphrase')
  const authorities = await openLocalAuthorities({ directory: join(config.data, 'authority'), passphrase, clock })
  const store = await openSqlite({ file: config.store.file })
  opened.defer(() => store.close())
  return {
    store,
    clock,
    random,
    authorities,
    publication: createDirectoryPublication({ directory: config.publication.directory, clock }),
    gateways: new Map(config.gateways.map((gateway) => [gateway.name, createCommandGateway({ ...gateway, clock })])),
    sinks: openSinks(config, log, opened),
    profiles: new Map(Object.entries(config.profiles)),
    listener: source.identity,
    settings: {
      publicUrl: config.listen.public.url,
      crl: config.crl,
      listener: { profile: config.listenerProfile, names: config.listen.device.names },
      retention: config.retention,
    },
  }
}

const openSinks = (config: Config, log: Logger, opened: AsyncDisposableStack): Map<string, EventSink> => {
  const sinks = new Map<string, EventSink>()
  if (config.events.log) sinks.set('log', createLogSink({ logger: log }))
  for (const webhook of config.events.webhooks) {
    const secret = readSecret(webhook.secret, `events.webhooks.${webhook.name}.secret`)
    const sink = createWebhookSink({ ...webhook, secret, clock })
    opened.defer(() => sink.close())
    sinks.set(webhook.name, sink)
  }
  return sinks
}

const listen = async (
  config: Config,
  { ports, source, token, log }: { ports: Ports; source: Listener; token: string; log: Logger },
  opened: AsyncDisposableStack,
): Promise<Daemon['addresses']> => {
  const queue = createInProcessQueue({ clock, random, log })
  const jobs = jobTable(ports, { sweep: config.sweep, coalesce: config.crl.coalesce })
  const scheduler = createScheduler({ clock, queue, jobs, log })
  // All at once: one deadline for everything, not one after the other.
  const working: Array<{ close(deadline: Duration): Promise<void> }> = [queue]
  opened.defer(async () => {
    await scheduler.stop()
    const ends = await Promise.allSettled(working.map((each) => each.close(stopDeadline)))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  })
  const anchors = () => ports.authorities.all.map(({ certificate }) => certificate.der)
  const device = createDeviceServer({ ports, identity: source.source, anchors, log })
  const open = createPublicServer({ ports, log })
  const addresses = { device: '', public: '', admin: '' }
  const admin = createAdminServer({
    ports,
    queue,
    tokenHash: sha256Hex(new TextEncoder().encode(token)),
    ready: () => readiness(ports),
    changed: () => {
      for (const job of followUps) scheduler.nudge(job)
    },
    metrics: createMetrics(ports, queue),
    server: {
      version,
      deviceUrl: config.listen.device.url,
      publicUrl: config.listen.public.url,
      addresses: () => addresses,
    },
    names: [...config.listen.device.names, config.listen.admin.host],
    log,
  })
  const bind = async (server: HttpListener, { host, port }: { host: string; port: number }): Promise<string> => {
    const bound = await server.listen({ host, port })
    working.push(server)
    return `${host}:${bound.port}`
  }
  addresses.device = await bind(device, config.listen.device)
  addresses.public = await bind(open, config.listen.public)
  addresses.admin = await bind(admin, config.listen.admin)
  scheduler.start()
  return addresses
}
