import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { crlKey, fullShard } from '../../src/lifecycle/ports.ts'
import { publishCrl } from '../../src/lifecycle/publish-crl.ts'
import type { Revocation } from '../../src/model.ts'
import { answerEach } from './children.ts'
import { peakMegabytes, timed } from './measure.ts'
import { openPorts, reopen } from './place.ts'
import { encodeRaw } from './raw-crl.ts'
import { serialBytes } from './seed.ts'

/** Each kind of build in a process of its own, for its own peak of memory. */
export type CrlOrder = { act: 'publish'; file: string; authority: string } | { act: 'limit'; count: number }

export interface CrlTimes {
  ms: number
  peakMB: number
  bytes: number
}

/** Opened once, as by a daemon that goes on running; the end of the process closes it. */
let ports: Awaited<ReturnType<typeof openPorts>> | null = null

const publish = async (file: string, authority: string): Promise<CrlTimes> => {
  const place = reopen(file)
  ports ??= await openPorts(place)
  const running = ports
  const serial = `41${randomBytes(15).toString('hex')}`
  await running.store.transaction((tx) => tx.revocations.insert(newRevocation(authority, serial)))
  const ms = await timed(() => publishCrl({ authority, shard: fullShard }, running))
  const path = join(place.config.publication.directory, crlKey(authority, fullShard))
  return { ms, peakMB: peakMegabytes(), bytes: statSync(path).size }
}

const newRevocation = (authority: string, serial: string): Revocation => ({
  authority,
  serial,
  crlShard: fullShard,
  revokedAt: Date.now(),
  reason: 'keyCompromise',
  notAfter: Date.now() + 2_592_000_000,
  publishedIn: null,
})

let inMemory: { serials: Uint8Array; times: Float64Array } | null = null

const limit = async (count: number): Promise<CrlTimes> => {
  inMemory ??= makeEntries(count)
  const { serials, times } = inMemory
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  let bytes = 0
  const ms = await timed(() => {
    const entries = encodeRaw(serials, times)
    bytes = entries.length
    createHash('sha256').update(entries).digest()
    sign('sha256', entries.subarray(0, 32), privateKey)
  })
  return { ms, peakMB: peakMegabytes(), bytes }
}

const makeEntries = (count: number) => {
  const serials = Buffer.allocUnsafe(count * 16)
  let offset = 0
  for (const bytes of serialBytes(count)) offset += bytes.copy(serials, offset)
  const now = Math.floor(Date.now() / 1_000)
  return {
    serials,
    times: Float64Array.from({ length: count }, (_, index) => now - ((index * 2_654_435_761) % 2_592_000)),
  }
}

answerEach(
  (order: CrlOrder): Promise<CrlTimes> =>
    order.act === 'publish' ? publish(order.file, order.authority) : limit(order.count),
)
