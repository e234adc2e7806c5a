import { join } from 'node:path'
import type { Bench, Report, Surroundings } from './bench.ts'
import { startPeer } from './children.ts'
import type { CrlOrder, CrlTimes } from './crl-peer.ts'
import { digits, median, timed } from './measure.ts'
import { opensslCrl } from './openssl-crl.ts'
import { makePlace } from './place.ts'
import { seedRevocations } from './seed.ts'

/** More than so many openssl does not have to do; its time grows at least in proportion. */
const mostForOpenssl = 100_000
const authority = 'issuing-g1'

/** In a process of its own, for its own peak of memory. `warm`: the second of two, after the compiler has seen the first. */
const ask = async (order: CrlOrder, warm: boolean): Promise<CrlTimes> => {
  const peer = startPeer('./crl-peer.ts')
  try {
    if (warm) await peer.ask<CrlTimes>(order)
    return await peer.ask<CrlTimes>(order)
  } finally {
    await peer.stop()
  }
}

/** From revocations in the store to a CRL that is signed, checked and durable: `first`, and again when one is live. */
const measure = async (count: number, surroundings: Surroundings): Promise<Report> => {
  const { directory, progress, rounds } = surroundings
  const place = await makePlace(join(directory, `crl-${count}`))
  progress(`crl ${count}: seeding`)
  const seedMs = await timed(() => seedRevocations(place.config.store.file, { count, now: Date.now(), authority }))
  progress(`crl ${count}: the first`)
  const first = await ask({ act: 'publish', file: place.file, authority }, false)
  const ours: CrlTimes[] = []
  const limits: CrlTimes[] = []
  for (let round = 1; round <= rounds; round += 1) {
    progress(`crl ${count}: round ${round} of ${rounds}`)
    ours.push(await ask({ act: 'publish', file: place.file, authority }, true))
    limits.push(await ask({ act: 'limit', count }, true))
  }
  const opensslEntries = Math.min(count, mostForOpenssl)
  progress(`crl ${count}: openssl with ${opensslEntries}`)
  const opensslRounds = await opensslCrl(join(directory, `openssl-${count}`), opensslEntries, Math.min(rounds, 3))
  const ms = median(ours.map((each) => each.ms))
  const limitMs = median(limits.map((each) => each.ms))
  const opensslMs = (median(opensslRounds) * count) / opensslEntries
  const peakMB = Math.max(first.peakMB, ...ours.map((each) => each.peakMB))
  const limitPeakMB = Math.max(...limits.map((each) => each.peakMB))
  const result = {
    bench: 'crl',
    entries: count,
    ms: digits(ms),
    limitMs: digits(limitMs),
    opensslMs: digits(opensslMs),
    ratioToLimit: digits(ms / limitMs),
    ratioToOpenssl: digits(opensslMs / ms),
    peakMB,
    limitPeakMB,
    firstMs: digits(first.ms),
    firstRatioToLimit: digits(first.ms / limitMs),
    opensslEntries,
    bytes: first.bytes,
    seedMs: digits(seedMs),
  }
  const name = `${count.toLocaleString('en')} entries`
  const scaled = opensslEntries < count ? ` (scaled from ${opensslEntries.toLocaleString('en')})` : ''
  const rows = [
    {
      what: `${name}, one is live`,
      ours: `${digits(ms)} ms`,
      baseline: `limit ${digits(limitMs)} ms`,
      ratio: `${result.ratioToLimit} ×`,
      target: '≤ 3 ×',
      met: ms <= 3 * limitMs,
    },
    {
      what: `${name}, the first`,
      ours: `${digits(first.ms)} ms`,
      baseline: `limit ${digits(limitMs)} ms`,
      ratio: `${result.firstRatioToLimit} ×`,
      target: null,
      met: null,
    },
    {
      what: `${name}, openssl ca -gencrl`,
      ours: `${digits(ms)} ms`,
      baseline: `${digits(opensslMs)} ms${scaled}`,
      ratio: `1 / ${result.ratioToOpenssl}`,
      target: '≥ 10 × faster',
      met: opensslMs >= 10 * ms,
    },
    {
      what: `${name}, peak memory`,
      ours: `${peakMB} MB`,
      baseline: `limit ${limitPeakMB} MB`,
      ratio: `${digits(peakMB / limitPeakMB)} ×`,
      target: '≤ 300 MB',
      met: peakMB <= 300,
    },
  ]
  return { result, rows }
}

export const crl: Bench = async (surroundings) => {
  const reports: Report[] = []
  for (const count of surroundings.entries.length > 0 ? surroundings.entries : [100_000, 1_000_000])
    reports.push(await measure(count, surroundings))
  return reports
}
