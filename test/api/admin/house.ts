import { createHash } from 'node:crypto'
import { Registry } from 'prom-client'
import { createAdminServer } from '../../../src/api/admin/server.ts'
import { createInProcessQueue } from '../../../src/queue/in-process.ts'
import { makeWorld, type World, type WorldOptions } from '../../support/world.ts'
import { type ClientAnswer, type ClientRequest, call } from '../support/client.ts'
import { type RecordedLog, recordedLog } from '../support/house.ts'

export const adminToken = 'the-admin-token-of-the-tests'

export interface AdminHouse {
  world: World
  log: RecordedLog
  port: number
  queue: ReturnType<typeof createInProcessQueue>
  readiness: { ready: boolean; reasons: string[] }
  /** A call with the token. */
  get(path: string, more?: Partial<ClientRequest>): Promise<ClientAnswer>
  post(path: string, body?: unknown, more?: Partial<ClientRequest>): Promise<ClientAnswer>
  /** How often a change was announced. */
  changes(): number
  stop(): Promise<void>
}

export const makeAdminHouse = async (options: WorldOptions = {}): Promise<AdminHouse> => {
  const world = await makeWorld(options)
  const log = recordedLog()
  const { clock, random } = world.ports
  const queue = createInProcessQueue({ clock, random })
  const house = { changes: 0 }
  const readiness = { ready: true, reasons: [] as string[] }
  const server = createAdminServer({
    ports: world.ports,
    queue,
    tokenHash: createHash('sha256').update(adminToken).digest('hex'),
    ready: () => readiness,
    changed: () => {
      house.changes += 1
    },
    metrics: new Registry(),
    server: {
      version: '9.9.9',
      deviceUrl: 'https://everleaf.test:8443',
      publicUrl: 'http://everleaf.test:8080',
      addresses: () => ({ device: '127.0.0.1:8443' }),
    },
    names: ['admin.everleaf.test'],
    log,
  })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const authorization = { Authorization: `Bearer ${adminToken}` }
  const json = { ...authorization, 'Content-Type': 'application/json' }
  return {
    world,
    log,
    port,
    changes: () => house.changes,
    queue,
    readiness,
    get: (path, more) => call({ port, plain: true, path, headers: authorization, ...more }),
    post: (path, body, more) =>
      call({
        port,
        plain: true,
        path,
        method: 'POST',
        ...(body === undefined ? { headers: authorization } : { headers: json, body: JSON.stringify(body) }),
        ...more,
      }),
    async stop() {
      await server.close(1_000)
      await queue.close(0)
      await world.stop()
    },
  }
}
