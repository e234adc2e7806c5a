import { fullShard, type Ports } from './ports.ts'
import { iso } from './record-event.ts'

export interface Readiness {
  ready: boolean
  /** What is missing, in words; empty when ready. */
  reasons: string[]
}

/** Whether devices and gateways get what they need: a readable store, a listener certificate, a truststore, fresh CRLs. */
export const readiness = async ({
  store,
  clock,
  authorities,
  listener,
}: Pick<Ports, 'store' | 'clock' | 'authorities' | 'listener'>): Promise<Readiness> => {
  const now = clock.now()
  const reasons: string[] = []
  const certificate = await listener?.current()
  if (listener !== null && !certificate) reasons.push('the device listener has no certificate yet')
  if (certificate && certificate.notAfter < now)
    reasons.push(`the listener's certificate expired at ${iso(certificate.notAfter)}`)
  if ((await store.truststores.latest()) === null) reasons.push('no truststore was published yet')
  for (const { id, crlSigner } of authorities.all) {
    if (crlSigner === null) continue
    const record = await store.crls.get(id, fullShard)
    if (record === null) reasons.push(`no CRL of ${id} was published yet`)
    else if (record.nextUpdate < now) reasons.push(`the CRL of ${id} is out of date since ${iso(record.nextUpdate)}`)
  }
  return { ready: reasons.length === 0, reasons }
}
