import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, node, start, until } from './processes.ts'

export interface DemoEvent {
  sequence: number
  time: string
  detailType: string
  subject: string
  detail: Record<string, unknown>
}

export interface DemoServer {
  deviceUrl: string
  /** A token and the rest of what a device needs for its first contact. */
  token(device: string): Promise<{ token: string; server: string; fingerprint: string }>
  revoke(authority: string, serial: string): Promise<void>
  events(after: number): Promise<DemoEvent[]>
  newestCertificate(device: string): Promise<{ authority: string; serial: string }>
}

export interface GatewaySettings {
  truststore: string
  crl: string
  test: string[] | null
  reload: string[]
  pidFile: string | null
  check: string[] | null
}

/** Certificates of 20 seconds, renewed after half of it, and a grace for the one that is cut off. */
const configuration = (ports: { device: number; public: number; admin: number }, gateway: GatewaySettings): string =>
  JSON.stringify({
    data: '.',
    listen: {
      device: { host: '127.0.0.1', port: ports.device, url: `https://localhost:${ports.device}`, names: ['localhost'] },
      public: { host: '127.0.0.1', port: ports.public, url: `http://localhost:${ports.public}` },
      admin: { host: '127.0.0.1', port: ports.admin },
    },
    crl: { validity: '10m', refresh: '1m', coalesce: '100ms' },
    profiles: {
      device: {
        validity: '20s',
        subject: { CN: '{device}' },
        renewal: { after: 0.5, jitter: 0.2, grace: '5m', burst: 20 },
      },
    },
    gateways: [{ name: 'gateway', type: 'command', timeout: '5s', ...gateway }],
    events: { log: false, webhooks: [] },
    log: { level: 'warn' },
  })

/** Starts a real server in its own process, in `directory`. */
export const startServer = async (directory: string, gateway: GatewaySettings): Promise<DemoServer> => {
  const ports = { device: await freePort(), public: await freePort(), admin: await freePort() }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, 'everleaf.yaml')
  await writeFile(file, configuration(ports, gateway))
  const program = start([node, 'src/main.ts', '--config', file, 'serve', '--init'])
  const base = `http://127.0.0.1:${ports.admin}`
  const isUp = async (): Promise<true | null> => {
    if (program.child.exitCode !== null) throw new Error(`the server ended: ${program.errors()}`)
    const answer = await fetch(`${base}/readyz`).catch(() => null)
    return answer?.ok ? true : null
  }
  await until('the server is ready', isUp)
  const secret = (await readFile(join(directory, 'admin-token'), 'utf8')).trim()
  const call = async <T>(path: string, body?: object): Promise<T> => {
    const answer = await fetch(`${base}/api/v1/${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { Authorization: `Bearer ${secret}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }
  return {
    deviceUrl: `https://localhost:${ports.device}`,
    token: (device) => call('tokens', { device, profile: 'device', ttl: '5m' }),
    revoke: (authority, serial) => call(`certificates/${authority}/${serial}/revoke`, { reason: 'keyCompromise' }),
    events: async (after) => (await call<{ events: DemoEvent[] }>(`events?after=${after}&limit=1000`)).events,
    async newestCertificate(device) {
      const { certificates } = await call<{
        certificates: Array<{ authority: string; serial: string; state: string }>
      }>(`certificates?device=${device}&state=confirmed`)
      const [newest] = certificates
      if (!newest) throw new Error(`${device} has no confirmed certificate`)
      return newest
    },
  }
}
