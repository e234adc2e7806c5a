import { describe } from 'vitest'
import type { Store } from '../../src/store/store.ts'
import { certificateContract } from './store/certificates.ts'
import { deviceContract } from './store/devices.ts'
import { dueContract } from './store/due.ts'
import { eventContract } from './store/events.ts'
import { parkedEventContract } from './store/parked-events.ts'
import { publishedContract } from './store/published.ts'
import { revocationContract } from './store/revocations.ts'
import { transactionContract } from './store/transactions.ts'

/** What every store must do, whatever is behind it. `open` gives an empty one; the suite closes it. */
export const storeContract = (name: string, open: () => Promise<Store>): void => {
  describe(`${name} keeps the contract of the store`, () => {
    transactionContract(open)
    deviceContract(open)
    certificateContract(open)
    dueContract(open)
    revocationContract(open)
    publishedContract(open)
    eventContract(open)
    parkedEventContract(open)
  })
}
