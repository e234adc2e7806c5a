import { expect, it } from 'vitest'
import type { Store } from '../../src/store/store.ts'
import { testFolder } from './folder.ts'
import { startWriter } from './writer.ts'

const folder = testFolder()

/** The numbers of which the device, and of which the event is there. */
async function found(store: Store): Promise<{ devices: string[]; events: string[] }> {
  const devices = await store.devices.list({ limit: 1_000_000 })
  const events = await store.events.after(0, 1_000_000)
  return { devices: devices.map(({ id }) => id).sort(), events: events.map(({ subject }) => subject).sort() }
}

it('has everything that was acknowledged, and no half transaction, after kill -9 at any moment', async () => {
  const file = folder.path('everleaf.db')
  const acknowledged: string[] = []
  for (let round = 0; round < 6; round++) {
    const writer = startWriter(file)
    await writer.acknowledges(1 + Math.floor(Math.random() * 400))
    await writer.kill()
    acknowledged.push(...writer.lines)
    const { devices, events } = await folder.with(found)
    expect(devices).toEqual(events)
    const there = new Set(devices)
    expect(acknowledged.filter((number) => !there.has(number))).toEqual([])
  }
  expect(acknowledged.length).toBeGreaterThan(6)
  expect(acknowledged.filter((line) => line.startsWith('refused'))).toEqual([])
})
