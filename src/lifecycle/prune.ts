import type { Decision } from '../model.ts'
import { fullShard, type Ports } from './ports.ts'

const batch = 1_000

/** Removes what nobody needs any more: events all sinks have, old tokens, long expired certificates and revocations. */
export const prune = async ({
  store,
  clock,
  sinks,
  authorities,
  settings,
}: Pick<Ports, 'store' | 'clock' | 'sinks' | 'authorities' | 'settings'>): Promise<Decision> => {
  const now = clock.now()
  const { retention } = settings
  const records = await store.crls.list() // gather
  const oldestCertificate = now - retention.certificates // decide
  const removed = await store.transaction(async (tx) => {
    let count = await tx.events.prune(now - retention.events, [...sinks.keys()])
    count += await tx.tokens.prune(now - retention.events)
    for (const { id } of authorities.all) {
      const record = records.find(({ authority, shard }) => authority === id && shard === fullShard)
      if (record) count += await tx.revocations.prune(id, fullShard, Math.min(record.thisUpdate, oldestCertificate))
    }
    return count + (await tx.certificates.prune(oldestCertificate, batch))
  }) // act, record
  return {
    act: removed > 0 ? 'remove' : 'leave',
    reason: removed > 0 ? 'old' : 'nothing-old',
    message: `${removed} rows`,
  }
}
