import type { Authority } from '../authority/authority.ts'
import type { CrlRecord, Instant } from '../model.ts'
import type { CrlEntry, ParsedCrl } from '../pki/crl.ts'
import { sha256Hex } from '../pki/digest.ts'
import type { Store, Writes } from '../store/store.ts'
import { iso, recordEvent } from './record-event.ts'
import { recordRevocation } from './revoke-certificate.ts'

export interface CrlShard {
  authority: string
  shard: number
}

/**
 * Takes over what the live CRL, verified as ours, knows and the store does not: after a restore, or when the process
 * died between putting it and recording it. So a restored backup neither un-revokes nor repeats a number (P4). What was
 * not marked as published stays so, and one more CRL follows.
 */
export const adoptLiveCrl = async (
  { live, authority, shard }: { live: ParsedCrl; authority: Authority; shard: number },
  store: Store,
  now: Instant,
): Promise<void> => {
  const record = await store.crls.get(authority.id, shard)
  if (record !== null && record.number >= live.number) return
  const unknown: CrlEntry[] = []
  for (const entry of live.entries())
    if (!(await store.revocations.get({ authority: authority.id, serial: entry.serial }))) unknown.push(entry)
  await store.transaction(async (tx) => {
    for (const entry of unknown) await adoptEntry(entry, { authority, shard, now }, tx)
    const adopted = crlRecordOf({ authority: authority.id, shard }, live)
    await tx.crls.put(adopted)
    await recordEvent(tx, crlPublishedEvent(adopted, 'adopted', now))
  })
}

const adoptEntry = async (
  { serial, revokedAt, reason }: CrlEntry,
  { authority, shard, now }: { authority: Authority; shard: number; now: Instant },
  tx: Writes,
): Promise<void> => {
  const certificate = await tx.certificates.get({ authority: authority.id, serial })
  if (certificate) await recordRevocation(certificate, { reason, revokedAt, now }, tx)
  else {
    const { id, certificate: own } = authority
    const entry = {
      authority: id,
      serial,
      crlShard: shard,
      revokedAt,
      reason,
      notAfter: own.notAfter,
      publishedIn: null,
    }
    await tx.revocations.insert(entry)
  }
}

/** The record of a CRL as it lies in the store. */
export const crlRecordOf = ({ authority, shard }: CrlShard, crl: ParsedCrl): CrlRecord => ({
  authority,
  shard,
  number: crl.number,
  thisUpdate: crl.thisUpdate,
  nextUpdate: crl.nextUpdate,
  entries: crl.entryCount,
  digest: sha256Hex(crl.der),
})

export const crlPublishedEvent = (record: CrlRecord, reason: string, now: Instant) => ({
  at: now,
  subject: record.authority,
  detailType: 'CRL Published' as const,
  detail: {
    CertificateAuthority: record.authority,
    Shard: record.shard,
    CrlNumber: String(record.number),
    Entries: record.entries,
    ThisUpdate: iso(record.thisUpdate),
    NextUpdate: iso(record.nextUpdate),
    Sha256: record.digest,
    Reason: reason,
  },
})
