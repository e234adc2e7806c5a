import type { Certificate } from '../model.ts'
import type { Reads } from '../store/store.ts'

const page = 1_000

/** Every certificate of a device, however many: with lives of minutes there are tens of thousands in a year. */
export const certificatesOfDevice = async (device: string, store: Reads): Promise<Certificate[]> => {
  const all: Certificate[] = []
  for (;;) {
    const next = await store.certificates.list({ device, after: all.at(-1), limit: page })
    all.push(...next)
    if (next.length < page) return all
  }
}
