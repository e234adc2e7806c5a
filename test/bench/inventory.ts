import { join } from 'node:path'
import { makeDevice } from './devices.ts'
import { timed } from './measure.ts'
import { makePlace, openPorts, type Place } from './place.ts'
import { seedCertificates } from './seed.ts'

export interface Inventory {
  place: Place
  /** How long the seeding took. */
  seedMs: number
}

const due = 1_000
const made = new Map<number, Promise<Inventory>>()

/** A place with `count` certificates, a thousand of them due now. Made once a run: whoever asks again gets the same. */
export const inventoryOf = (shared: string, count: number): Promise<Inventory> => {
  const known = made.get(count) ?? make(join(shared, `inventory-${count}`), count)
  made.set(count, known)
  return known
}

const make = async (directory: string, count: number): Promise<Inventory> => {
  const place = await makePlace(directory)
  const ports = await openPorts(place)
  const { certificate } = await makeDevice('template', ports)
  await ports.close()
  const { authority, serial, der } = certificate
  const wanted = { count, due, now: Date.now(), authority, serial, template: Buffer.from(der) }
  return { place, seedMs: await timed(() => seedCertificates(place.config.store.file, wanted)) }
}
