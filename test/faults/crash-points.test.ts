import { spawn } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { afterAll, describe, expect, test } from 'vitest'
import type { Ports } from '../../src/lifecycle/ports.ts'
import type { Certificate, Instant } from '../../src/model.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import { makeKey } from '../support/certificates.ts'
import { certificateFaults, deliveryFaults, eventFaults, listenerFaults, publicationFaults } from './invariants.ts'
import { copyPlace, deliveredAt, makePlace, memoryDirectory, openPlace } from './place.ts'
import { writeKeys } from './saved-keys.ts'
import { type Fact, newOutside, type Outside, remember, steps } from './story.ts'

/**
 * A process of its own tells the story and is killed by SIGKILL at one point: after an effect of which nobody learnt, or
 * between two renames of one publication. What it left is opened again, and the story goes on where the outside left it.
 */

const folder = await mkdtemp(join(memoryDirectory, 'everleaf-crash-'))
afterAll(() => rm(folder, { recursive: true }))

const root = new URL('../..', import.meta.url).pathname
const program = join(folder, 'crashing-server.mjs')
// One file: each of the many starts reads it instead of a hundred.
buildSync({
  entryPoints: [join(root, 'test/faults/crashing-server.ts')],
  outfile: program,
  bundle: true,
  platform: 'node',
  format: 'esm',
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
})
cpSync(join(root, 'src/store/migrations/sqlite'), join(folder, 'migrations/sqlite'), { recursive: true })

const keys = { first: makeKey(), second: makeKey(), stolen: makeKey(), kept: makeKey() }
const start: Instant = Date.UTC(2027, 0, 1)
const original = join(folder, 'original')
await makePlace(original, start)
writeFileSync(join(original, 'keys.json'), writeKeys(keys))

type Line = Fact | { what: 'step'; index: number; at: Instant } | { what: 'end'; points: string[] }

interface Run {
  directory: string
  signal: NodeJS.Signals | null
  lines: Line[]
  errors: string
}

const runUntil = async (point: number): Promise<Run> => {
  const directory = join(folder, String(point))
  await copyPlace(original, directory)
  const child = spawn(process.execPath, [program, directory, String(start), String(point)])
  const text = { out: '', errors: '' }
  child.stdout.on('data', (data: Buffer) => {
    text.out += data.toString()
  })
  child.stderr.on('data', (data: Buffer) => {
    text.errors += data.toString()
  })
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_, by) => resolve(by)))
  const whole = text.out.split('\n').slice(0, -1)
  return { directory, signal, lines: whole.map((line) => JSON.parse(line) as Line), errors: text.errors }
}

/** What the outside knew when the process died, and at which step that was. */
const outsideOf = (lines: readonly Line[]): { outside: Outside; index: number; now: Instant } => {
  const outside = newOutside(keys)
  let [index, now] = [0, start]
  for (const line of lines) {
    if (line.what === 'step') [index, now] = [line.index, line.at]
    else if (line.what === 'certificate') remember(outside, { ...line, certificate: withBytes(line.certificate) })
    else if (line.what !== 'end') remember(outside, line)
  }
  return { outside, index, now }
}

const withBytes = (certificate: Certificate): Certificate => ({
  ...certificate,
  der: fromHex(String(certificate.der)),
})

const whole = await runUntil(0)
const last = whole.lines.at(-1)
if (last?.what !== 'end') throw new Error(`the story was not told to its end: ${whole.errors}`)

/** What is before an effect is after the one before it: only the parts of a publication are killed on both sides. */
const points = last.points
  .map((name, index) => [index + 1, name.replace(`${whole.directory}/`, '')] as const)
  .filter(([, name]) => name.includes('rename') || (name.startsWith('after') && !/signature|look/.test(name)))

let authorities: Ports['authorities'] | undefined

describe.concurrent('killed by SIGKILL nothing is lost and nothing is done twice', () => {
  test.each(points)('at point %i, %s', async (point) => {
    const { directory, signal, lines, errors } = await runUntil(point)
    expect([signal, errors]).toEqual(['SIGKILL', ''])
    const { outside, index, now } = outsideOf(lines)
    const place = await openPlace({ directory, now: now + 60_000, seed: 1_000 + point, authorities })
    const { ports, clock } = place
    authorities ??= ports.authorities
    expect(await certificateFaults(ports, outside)).toEqual([])
    for (const [at, step] of steps.entries())
      if (at === 0 || at >= index) await step.run({ ports, outside, wait: (duration) => clock.advance(duration) })
    await place.pass(4_000, 1_000)
    const events = await ports.store.events.after(0, 100_000)
    expect([
      ...(await certificateFaults(ports, outside)),
      ...(await publicationFaults(ports, outside)),
      ...(await listenerFaults(ports)),
      ...(await eventFaults(ports)),
      ...deliveryFaults(deliveredAt(directory), events),
    ]).toEqual([])
    expect(outside.revoked).toHaveLength(1)
    await place.close()
    await rm(directory, { recursive: true })
  })
})
