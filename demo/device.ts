import { X509Certificate } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { DemoGateway } from './gateway.ts'
import { end, node, type Program, run, start } from './processes.ts'
import type { DemoServer } from './server.ts'

export type DeviceState = 'live' | 'cut off' | 'revoked'

/** One device: a real agent in its own process, and an application that talks through the gateway all the while. */
export interface DemoDevice {
  id: string
  state: DeviceState
  renewals: number
  accepted: number
  /** Requests that the gateway refused while the device was live. */
  refused: number
  refusedAfterRevocation: number
  lastRefusal: string
  serial: string
  notAfter: number
}

const agent = 'dist/everleaf-agent.mjs'

export const enrol = async (id: string, directory: string, server: DemoServer): Promise<DemoDevice> => {
  const { token, server: url, fingerprint } = await server.token(id)
  const options = ['--server', url, '--fingerprint', fingerprint, '--device', id, '--directory', join(directory, id)]
  await run([node, agent, 'enroll', ...options], { EVERLEAF_TOKEN: token })
  const counters = { renewals: 0, accepted: 0, refused: 0, refusedAfterRevocation: 0 }
  return { id, state: 'live', ...counters, lastRefusal: '', serial: '', notAfter: 0 }
}

export const startAgent = (id: string, directory: string): Program =>
  start([node, agent, 'run', '--directory', join(directory, id)])

export const cutPower = (program: Program): Promise<void> => end(program, 'SIGKILL')

/** What the application on the device would read: the pair behind `current`, resolved once, so never half of two. */
const readPair = (directory: string, id: string): { key: Buffer; cert: Buffer } => {
  const pair = realpathSync(join(directory, id, 'current'))
  return { key: readFileSync(join(pair, 'key.pem')), cert: readFileSync(join(pair, 'chain.pem')) }
}

const ask = (pair: { key: Buffer; cert: Buffer }, gateway: DemoGateway): Promise<string | null> =>
  new Promise((resolve) => {
    const options = {
      ...pair,
      host: '127.0.0.1',
      servername: 'localhost',
      port: gateway.port,
      ca: gateway.certificate,
      agent: false,
      timeout: 5_000,
    }
    const call = request(options, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode === 200 ? null : `status ${response.statusCode}`))
    })
    call.once('timeout', () => call.destroy(new Error('no answer in five seconds')))
    call.once('error', (error) => resolve(error.message))
    call.end()
  })

/** Talks through the gateway until the signal, on a new connection each time. */
export const talk = async (
  device: DemoDevice,
  place: { directory: string; gateway: DemoGateway; signal: AbortSignal },
): Promise<void> => {
  while (!place.signal.aborted) {
    const pair = readPair(place.directory, device.id)
    const certificate = new X509Certificate(pair.cert)
    device.serial = certificate.serialNumber.toLowerCase()
    device.notAfter = certificate.validToDate.getTime()
    const before = device.state
    const isExpired = device.notAfter <= Date.now()
    if (before !== 'cut off' && !isExpired) count(device, before, await ask(pair, place.gateway))
    await pause(200)
  }
}

const count = (device: DemoDevice, before: DeviceState, refusal: string | null): void => {
  if (refusal === null) device.accepted += 1
  else if (device.state === 'revoked') device.refusedAfterRevocation += 1
  // A request that was under way when the power went tells nothing.
  else if (before === device.state) {
    device.refused += 1
    device.lastRefusal = refusal
  }
}
