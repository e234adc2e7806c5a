import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Ports } from '../../src/lifecycle/ports.ts'
import type { Instant } from '../../src/model.ts'
import { makeKey } from '../support/certificates.ts'
import { certificateFaults, deliveryFaults, eventFaults, listenerFaults, publicationFaults } from './invariants.ts'
import { copyPlace, deliveredAt, makePlace, memoryDirectory, openPlace, type Place } from './place.ts'
import { newOutside, type Outside, outsideAgain, type Step, steps } from './story.ts'
import { createTrap } from './trap.ts'

/**
 * Every external effect of the story is made to fail once, at each of its points: before it happened, and after it
 * happened and nobody learnt of it. Each time the story starts from a copy of what lay on the disk before that step.
 */

const strikes: string[] = []
const trap = createTrap({
  strike: (name) => {
    strikes.push(name)
    throw new Error(`this effect is made to fail: ${name}`)
  },
  writes: true,
})

/** Between two steps: what lies on the disk, what the outside holds, and the time. */
interface Moment {
  directory: string
  outside: Outside
  now: Instant
}

interface Point {
  /** Over the whole story, counted from 1. */
  number: number
  name: string
  step: Step
  /** Within the step, counted from 1. */
  at: number
  before: Moment
}

const folder = await mkdtemp(join(memoryDirectory, 'everleaf-effects-'))
afterAll(() => rm(folder, { recursive: true }))

let opened = 0
/** Opened once: a passphrase costs time on purpose. */
let authorities: Ports['authorities'] | undefined
const wrap = (ports: Ports): Ports => {
  authorities ??= ports.authorities
  return trap.wrap(ports)
}
const openCopy = async ({ directory, now }: Moment): Promise<{ directory: string; place: Place }> => {
  opened += 1
  const copy = join(folder, String(opened))
  await copyPlace(directory, copy)
  const place = await openPlace({ directory: copy, now, seed: opened, wrap, authorities })
  return { directory: copy, place }
}

const run = (step: Step, { ports, clock }: Place, outside: Outside): Promise<void> =>
  step.run({ ports, outside, wait: (duration) => clock.advance(duration) })

/** Tells the story once without a fault, and notes every point that it passes. */
const pointsOfTheStory = async (): Promise<Point[]> => {
  const keys = { first: makeKey(), second: makeKey(), stolen: makeKey(), kept: makeKey() }
  let moment: Moment = { directory: join(folder, 'start'), outside: newOutside(keys), now: Date.UTC(2027, 0, 1) }
  await makePlace(moment.directory, moment.now)
  const points: Point[] = []
  for (const step of steps) {
    const { directory, place } = await openCopy(moment)
    const outside = outsideAgain(moment.outside)
    trap.arm(0)
    await run(step, place, outside)
    trap.disarm()
    for (const [index, name] of trap.passed.entries())
      points.push({ number: points.length + 1, name, step, at: index + 1, before: moment })
    await place.close()
    moment = { directory, outside, now: place.clock.now() }
  }
  return points
}

const points = await pointsOfTheStory()

const faultsOfTheServer = async ({ ports }: Place, directory: string, outside: Outside): Promise<string[]> => [
  ...(await publicationFaults(ports, outside)),
  ...(await listenerFaults(ports)),
  ...(await eventFaults(ports)),
  ...deliveryFaults(deliveredAt(directory), await ports.store.events.after(0, 100_000)),
]

describe('after the failure of one effect the next sweep and the next try bring everything right', () => {
  test.each(points.map((point) => [point.number, point.name, point.step.name, point] as const))(
    '%i: %s, when %s',
    async (_number, name, _step, { step, at, before }) => {
      const { directory, place } = await openCopy(before)
      const outside = outsideAgain(before.outside)
      strikes.length = 0
      trap.arm(at)
      await run(step, place, outside).catch((error: unknown) => {
        if (!String(error).includes('made to fail')) throw error
      })
      trap.disarm()
      expect(strikes).toEqual([name])
      if (step !== steps[0]) {
        await place.pass(4_000, 1_000)
        expect(await faultsOfTheServer(place, directory, outside)).toEqual([])
      }
      await run(step, place, outside)
      await place.pass(4_000, 1_000)
      expect(await faultsOfTheServer(place, directory, outside)).toEqual([])
      expect(await certificateFaults(place.ports, outside)).toEqual([])
      await place.close()
      await rm(directory, { recursive: true })
    },
  )

  test('the points are those of every verb that has an effect outside', () => {
    const names = new Set(points.map(({ name }) => name))
    for (const wanted of [
      'after a signature by issuing-g1',
      'before tokens.use',
      'before certificates.insert',
      'after the put of crl/issuing-g1/0.crl',
      'before crls.put',
      'before revocations.markPublished',
      'before revocations.insert',
      'after the put of truststore/truststore.pem',
      'before truststores.insert',
      'after the change of gateway edge',
      'before gateways.put',
      'after the delivery to file',
      'before events.setCursor',
      'after the new key of the listener',
      'after the change of the listener',
    ])
      expect(names).toContain(wanted)
  })
})
