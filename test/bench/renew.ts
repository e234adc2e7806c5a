import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import type { BareOrder } from './bare-peer.ts'
import type { Bench, Surroundings } from './bench.ts'
import { type Peer, startPeer } from './children.ts'
import { makeDevice } from './devices.ts'
import { digits, median, percentile, sum } from './measure.ts'
import { makePlace, openPorts } from './place.ts'
import type { ClientAnswers, ClientDevice, ClientOrder } from './renew-peer.ts'
import { processorTime, startServer } from './server.ts'

const clients = 2
/** Connections that each client has under way, so many that no server waits for work. */
const concurrency = 16
/** Renewals of each client in a round, and in the round with a steady load. */
const perRound = 400
const perSteady = 800
const steadyLoad = 0.8

interface Figures {
  perSecond: number
  /** Milliseconds of processor time of the server for each. */
  cpuMs: number
}

export const renew: Bench = async (surroundings) => {
  const { directory, progress, rounds } = surroundings
  const place = await makePlace(join(directory, 'renew'))
  const each = perRound * (rounds + 1) + perSteady
  progress(`renew: ${each * clients} devices`)
  const ports = await openPorts(place)
  const files = await makeDevices(each, ports, directory)
  const anchors = ports.authorities.all.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der))
  await ports.close()
  const server = await startServer(place)
  const bare = startPeer('./bare-peer.ts')
  const peers = files.map(() => startPeer('./renew-peer.ts'))
  try {
    await Promise.all(
      peers.map((peer, index) => peer.ask({ act: 'load', file: files[index] ?? '' } satisfies ClientOrder)),
    )
    const identity = await readFile(join(place.config.data, 'listener', 'identity.pem'), 'utf8')
    const { port: barePort } = await bare.ask<{ port: number }>({ identity, ca: anchors } satisfies BareOrder)
    const both = {
      ours: { port: place.config.listen.device.port, pid: server.child.pid ?? 0, peers },
      bare: { port: barePort, pid: bare.pid, peers },
    }
    return [await measure(both, surroundings)]
  } finally {
    await Promise.all([...peers, bare].map((peer) => peer.stop()))
    await server.stop()
  }
}

/** One file for each client, of devices that nobody else renews. */
const makeDevices = (each: number, ports: Ports, directory: string): Promise<string[]> =>
  Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const devices: ClientDevice[] = []
      const workers = Array.from({ length: 16 }, async (_, worker) => {
        for (let index = worker; index < each; index += 16) {
          const { key, chain, request } = await makeDevice(`client-${client}-${index}`, ports)
          devices.push({ key, chain, request })
        }
      })
      await Promise.all(workers)
      const file = join(directory, `devices-${client}.json`)
      await writeFile(file, JSON.stringify(devices))
      return file
    }),
  )

interface Target {
  port: number
  pid: number
  peers: readonly Peer[]
}

const measure = async (both: { ours: Target; bare: Target }, { progress, rounds }: Surroundings) => {
  const figures = { ours: [] as Figures[], bare: [] as Figures[] }
  for (let round = 0; round <= rounds; round += 1) {
    progress(round === 0 ? 'renew: warming up' : `renew: round ${round} of ${rounds}`)
    // Each client uses up its devices with ours only: to the bare server they are all alike.
    const bare = await fullLoad(both.bare, round * perRound)
    const ours = await fullLoad(both.ours, round * perRound)
    if (round === 0) continue
    figures.bare.push(bare)
    figures.ours.push(ours)
  }
  const middle = (of: Figures[], name: keyof Figures) => median(of.map((each) => each[name]))
  const [perSecond, barePerSecond] = [middle(figures.ours, 'perSecond'), middle(figures.bare, 'perSecond')]
  const [cpuMs, bareCpuMs] = [middle(figures.ours, 'cpuMs'), middle(figures.bare, 'cpuMs')]
  progress('renew: steady load')
  const bareP99 = await steady(both.bare, (rounds + 1) * perRound, barePerSecond * steadyLoad)
  await pause(200)
  const p99 = await steady(both.ours, (rounds + 1) * perRound, perSecond * steadyLoad)
  const result = {
    bench: 'renew',
    perSecond: Math.round(perSecond),
    limitPerSecond: Math.round(barePerSecond),
    ratioToLimit: digits(perSecond / barePerSecond),
    cpuMs: digits(cpuMs),
    limitCpuMs: digits(bareCpuMs),
    cpuRatioToLimit: digits(cpuMs / bareCpuMs),
    p99Ms: digits(p99),
    limitP99Ms: digits(bareP99),
    p99RatioToLimit: digits(p99 / bareP99),
    loadPart: steadyLoad,
  }
  const rows = [
    {
      what: 'simplereenroll, new connections',
      ours: `${Math.round(perSecond)}/s`,
      baseline: `bare TLS ${Math.round(barePerSecond)}/s`,
      ratio: `${digits((perSecond * 100) / barePerSecond)} %`,
      target: '≥ 70 %',
      met: perSecond >= 0.7 * barePerSecond,
    },
    {
      what: 'processor time of the server for each',
      ours: `${digits(cpuMs)} ms`,
      baseline: `bare TLS ${digits(bareCpuMs)} ms`,
      ratio: `${result.cpuRatioToLimit} ×`,
      target: null,
      met: null,
    },
    {
      what: 'p99 at 80 % load',
      ours: `${digits(p99)} ms`,
      baseline: `bare TLS ${digits(bareP99)} ms`,
      ratio: `${result.p99RatioToLimit} ×`,
      target: '< 100 ms',
      met: p99 < 100,
    },
  ]
  return { result, rows }
}

const askAll = async ({ peers, port }: Target, order: { from: number; count: number; perSecond: number | null }) => {
  const run: ClientOrder = { act: 'run', port, concurrency, ...order }
  const answers = await Promise.all(peers.map((peer) => peer.ask<ClientAnswers>(run)))
  const failure = answers.find(({ failures }) => failures > 0)
  if (failure !== undefined) throw new Error(`${failure.failures} renewals failed, one with: ${failure.failure}`)
  return answers
}

const fullLoad = async (target: Target, from: number): Promise<Figures> => {
  const before = processorTime(target.pid)
  const answers = await askAll(target, { from, count: perRound, perSecond: null })
  const used = processorTime(target.pid) - before
  return { perSecond: sum(answers.map(({ ms }) => (perRound * 1_000) / ms)), cpuMs: used / (perRound * answers.length) }
}

/** Requests at fixed instants, whether or not the former are answered; waiting counts from those instants. */
const steady = async (target: Target, from: number, perSecond: number): Promise<number> => {
  const answers = await askAll(target, { from, count: perSteady, perSecond: perSecond / target.peers.length })
  return percentile(
    answers.flatMap(({ latencies }) => latencies),
    0.99,
  )
}
