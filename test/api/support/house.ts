import { createDeviceServer, type DeviceLimits } from '../../../src/api/device/server.ts'
import type { HttpListener } from '../../../src/api/http/listener.ts'
import type { Log } from '../../../src/api/http/log.ts'
import { createToken } from '../../../src/lifecycle/create-token.ts'
import { publishCrl } from '../../../src/lifecycle/publish-crl.ts'
import { publishTruststore } from '../../../src/lifecycle/publish-truststore.ts'
import type { ListenerPair, ListenerSource } from '../../../src/listener/listener.ts'
import { serialFromBytes } from '../../../src/pki/serial.ts'
import { encodePem } from '../../../src/protocol/pem.ts'
import { makeKey } from '../../support/certificates.ts'
import { day, makeWorld, type TestDevice, type World, type WorldOptions } from '../../support/world.ts'
import type { ClientIdentity } from './client.ts'

/** A log that remembers. */
export interface RecordedLog extends Log {
  lines: Array<{ level: 'info' | 'warn' | 'error'; message: string; [field: string]: unknown }>
}

export const recordedLog = (): RecordedLog => {
  const lines: RecordedLog['lines'] = []
  const at = (level: 'info' | 'warn' | 'error') => (fields: Record<string, unknown>, message: string) => {
    lines.push({ ...fields, level, message })
  }
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}

export interface SwitchedIdentity extends ListenerSource {
  use(pair: ListenerPair | null): void
}

const switchedIdentity = (): SwitchedIdentity => {
  let pair: ListenerPair | null = null
  const callbacks = new Set<(pair: ListenerPair) => void>()
  return {
    read: () => pair,
    onChange(callback) {
      callbacks.add(callback)
      return () => callbacks.delete(callback)
    },
    use(next) {
      pair = next
      if (next !== null) for (const callback of callbacks) callback(next)
    },
  }
}

/** A server certificate for localhost from the world's own authority, with its chain. */
export const serverPair = async ({ ports }: World): Promise<ListenerPair> => {
  const key = makeKey()
  const { issuing } = ports.authorities
  const now = ports.clock.now()
  const { der } = await issuing.issuer.issue({
    serial: serialFromBytes(ports.random.bytes(16)),
    subject: Uint8Array.of(0x30, 0),
    notBefore: now - 3_600_000,
    notAfter: now + 30 * day,
    spki: key.spki,
    extensions: {
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth'],
      subjectAlternativeName: { dns: ['localhost'], uri: [], ip: ['127.0.0.1'] },
      crlDistributionPoint: `http://crl.everleaf.test/crl/${issuing.id}/0.crl`,
    },
  })
  const chain = [der, ...issuing.chain.slice(0, -1).map((certificate) => certificate.der)]
  return {
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    chain: chain.map((each) => encodePem('CERTIFICATE', each)).join(''),
  }
}

export interface House {
  world: World
  server: HttpListener
  identity: SwitchedIdentity
  port: number
  log: RecordedLog
  rootPem: string
  token(device: string, profile?: string): Promise<string>
  /** Publishes the truststore and a CRL of every authority. */
  publish(): Promise<void>
  stop(): Promise<void>
}

/** A device listener over the real verbs, store and authority, on the real time of now. */
export const makeHouse = async (options: WorldOptions & { limits?: Partial<DeviceLimits> } = {}): Promise<House> => {
  const world = await makeWorld({ start: Math.floor(Date.now() / 1000) * 1000, ...options })
  const log = recordedLog()
  const identity = switchedIdentity()
  identity.use(await serverPair(world))
  const { ports } = world
  const anchors = () => ports.authorities.all.map(({ certificate }) => certificate.der)
  const server = createDeviceServer({ ports, identity, anchors, log, limits: options.limits })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const root = ports.authorities.issuing.chain.at(-1)?.der ?? new Uint8Array()
  return {
    world,
    server,
    identity,
    port,
    log,
    rootPem: encodePem('CERTIFICATE', root),
    async token(device, profile = 'device') {
      const { token } = await createToken({ device, profile, ttl: 3_600_000, labels: {} }, ports)
      return token
    },
    async publish() {
      for (const { id } of ports.authorities.all) await publishCrl({ authority: id, shard: 0, force: true }, ports)
      await publishTruststore({}, ports)
    },
    async stop() {
      const closed = server.close(1_000)
      await world.clock.advance(2_000)
      await closed
      await world.stop()
    },
  }
}

export const identityOf = ({ certificate, key }: TestDevice): ClientIdentity => ({
  cert: encodePem('CERTIFICATE', certificate.der),
  key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
})

/** Waits for `condition` with a deadline in real time. */
export const eventually = async (condition: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  const end = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`after ten seconds still not: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
