import { mkdir } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { cutPower, type DemoDevice, enrol, startAgent, talk } from './device.ts'
import type { DemoGateway } from './gateway.ts'
import { type Program, until } from './processes.ts'
import type { DemoEvent, DemoServer } from './server.ts'
import type { Scene } from './view.ts'

export interface Summary {
  agents: number
  renewals: number
  refusedWhileLive: number
  revokedRefusedAfterMs: number | null
  gateway: DemoGateway['kind']
  ok: boolean
}

export interface Stage {
  directory: string
  gateway: DemoGateway
  server: DemoServer
  draw: (scene: Scene) => void
  signal: AbortSignal
}

const names = ['device-1', 'device-2', 'device-3', 'device-4', 'device-5'] as const
/** Longer than a certificate lives: it comes back with an expired one, within the grace of its profile. */
const cutFor = 22_000
const wanted = 2

/** Plays the story on real processes; resolves with its figures. Devices talk on until the signal. */
export const tell = (stage: Stage): Promise<Summary> => {
  const scene: Scene & { devices: DemoDevice[]; events: DemoEvent[] } = {
    gateway: stage.gateway.kind,
    devices: [],
    act: '',
    events: [],
    startedAt: Date.now(),
  }
  return new Promise((resolve, reject) => {
    // What goes on beside the story ends it when it fails.
    const beside = (work: Promise<void>) => void work.catch(reject)
    play(scene, stage, beside).then(resolve, reject)
  })
}

const play = async (
  scene: Scene & { devices: DemoDevice[]; events: DemoEvent[] },
  stage: Stage,
  beside: (work: Promise<void>) => void,
): Promise<Summary> => {
  const { directory, gateway, server, signal } = stage
  await mkdir(directory, { recursive: true })
  beside(watch(scene, stage))
  scene.act = 'The gateway gets its first truststore and CRL'
  await until('the gateway has its artefacts', async () =>
    has(scene.events, 'Gateway Updated', 'gateway') ? true : null,
  )
  await gateway.enforce()
  scene.act = 'Five devices enrol, each with a one-time token'
  scene.devices.push(...(await Promise.all(names.map((name) => enrol(name, directory, server)))))
  const agents = new Map<string, Program>(names.map((name) => [name, startAgent(name, directory)]))
  for (const device of scene.devices) beside(talk(device, { directory, gateway, signal }))

  const [first, , , , last] = scene.devices as [DemoDevice, DemoDevice, DemoDevice, DemoDevice, DemoDevice]
  scene.act = 'They talk through the gateway and renew by themselves, again and again'
  await until('device-5 renewed once', async () => (last.renewals >= 1 ? true : null), 40_000)
  const back = cutOff(last, { scene, agents, directory })
  await until('device-1 renewed twice', async () => (first.renewals >= wanted ? true : null), 40_000)
  scene.act = 'device-1 is revoked'
  const revokedRefusedAfterMs = await revoke(first, server)
  scene.act = 'device-1 is refused by the gateway; the others go on'
  await back
  await until(
    'every device renewed twice',
    async () => (scene.devices.every(({ renewals }) => renewals >= wanted) ? true : null),
    40_000,
  )
  const served = last.accepted
  await until('device-5 is served again', async () => (last.accepted > served ? true : null), 20_000)
  scene.act = 'device-5 came back by itself and is served again'
  stage.draw(scene)
  const refusedWhileLive = scene.devices.reduce((sum, { refused }) => sum + refused, 0)
  return {
    agents: scene.devices.length,
    renewals: scene.devices.reduce((sum, { renewals }) => sum + renewals, 0),
    refusedWhileLive,
    revokedRefusedAfterMs,
    gateway: gateway.kind,
    ok: refusedWhileLive === 0 && revokedRefusedAfterMs <= 5_000,
  }
}

const has = (events: readonly DemoEvent[], detailType: string, subject: string): boolean =>
  events.some((event) => event.detailType === detailType && event.subject === subject)

/** Follows the server's events and draws, until the signal. */
const watch = async (
  scene: Scene & { devices: DemoDevice[]; events: DemoEvent[] },
  { server, draw, signal }: Stage,
): Promise<void> => {
  while (!signal.aborted) {
    const fresh = await server.events(scene.events.at(-1)?.sequence ?? 0).catch(() => [])
    scene.events.push(...fresh)
    for (const { detailType, subject } of fresh) {
      const device = scene.devices.find(({ id }) => id === subject)
      if (device && detailType.startsWith('Certificate Renewed')) device.renewals += 1
    }
    draw(scene)
    await pause(200)
  }
}

const cutOff = async (
  device: DemoDevice,
  { scene, agents, directory }: { scene: Scene; agents: Map<string, Program>; directory: string },
): Promise<void> => {
  scene.act = `${device.id} loses its power for ${cutFor / 1_000} seconds, longer than its certificate lives`
  device.state = 'cut off'
  const agent = agents.get(device.id)
  if (agent) await cutPower(agent)
  await pause(cutFor)
  scene.act = `${device.id} is back`
  agents.set(device.id, startAgent(device.id, directory))
  device.state = 'live'
}

/** Milliseconds from the word to revoke until the gateway refuses, by what the device itself sees. */
const revoke = async (device: DemoDevice, server: DemoServer): Promise<number> => {
  const { authority, serial } = await server.newestCertificate(device.id)
  const start = performance.now()
  device.state = 'revoked'
  await server.revoke(authority, serial)
  await until(
    'the gateway refuses the revoked device',
    async () => (device.refusedAfterRevocation > 0 ? true : null),
    20_000,
  )
  return Math.round(performance.now() - start)
}
