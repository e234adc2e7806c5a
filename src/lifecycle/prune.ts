import type { Decision } from '../model.ts'
import type { Ports } from './ports.ts'

const batch = 1_000

/**
 * Removes what nobody needs any more: events all sinks have, old tokens, long expired certificates. Revocations go when a
 * CRL is recorded that no longer holds them.
 */
export const prune = async ({
  store,
  clock,
  sinks,
  settings,
}: Pick<Ports, 'store' | 'clock' | 'sinks' | 'settings'>): Promise<Decision> => {
  const now = clock.now()
  const { retention } = settings // gather
  const oldestCertificate = now - retention.certificates // decide
  const removed = await store.transaction(async (tx) => {
    let count = await tx.events.prune(now - retention.events, [...sinks.keys()])
    count += await tx.tokens.prune(now - retention.events)
    return count + (await tx.certificates.prune(oldestCertificate, batch))
  }) // act, record
  return {
    act: removed > 0 ? 'remove' : 'leave',
    reason: removed > 0 ? 'old' : 'nothing-old',
    message: `${removed} rows`,
  }
}
