import { afterEach, beforeEach } from 'vitest'
import { isEverleafError } from '../../../src/errors.ts'
import type { Certificate, EventRecord } from '../../../src/model.ts'
import type { Store, Writes } from '../../../src/store/store.ts'

export type OpenStore = () => Promise<Store>

export interface Fresh {
  readonly store: Store
  /** One transaction. */
  write<T>(work: (tx: Writes) => Promise<T>): Promise<T>
  insert(...certificates: Certificate[]): Promise<void>
  append(...events: Array<Omit<EventRecord, 'sequence' | 'id'>>): Promise<EventRecord[]>
}

/** An empty store for each test of the `describe` that calls this. */
export function freshStore(open: OpenStore): Fresh {
  let store: Store
  beforeEach(async () => {
    store = await open()
  })
  afterEach(() => store.close())
  const write: Fresh['write'] = (work) => store.transaction(work)
  return {
    get store() {
      return store
    },
    write,
    insert: (...certificates) =>
      write(async (tx) => {
        for (const certificate of certificates) await tx.certificates.insert(certificate)
      }),
    append: (...events) =>
      write(async (tx) => {
        const appended: EventRecord[] = []
        for (const event of events) appended.push(await tx.events.append(event))
        return appended
      }),
  }
}

/** The code of the `EverleafError` that a promise rejects with; `resolved`, or what else it rejected with. */
export const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (isEverleafError(error) ? error.code : error),
  )
