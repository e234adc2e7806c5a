import type { Authority } from '../authority/authority.ts'
import type { Certificate, Instant } from '../model.ts'
import { alertsOf, authorityThresholds } from '../policy/alerts.ts'
import { fullShard, type Ports } from './ports.ts'

/** Takes this server's authorities into the inventory, to be alarmed on, and as trust anchors. Safe to repeat. */
export const registerAuthorities = async ({
  store,
  clock,
  authorities,
}: Pick<Ports, 'store' | 'clock' | 'authorities'>): Promise<void> => {
  const now = clock.now()
  await store.transaction(async (tx) => {
    for (const authority of authorities.all) {
      const row = rowOf(authority, authorities.all, now)
      if (!(await tx.certificates.get(row))) await tx.certificates.insert(row)
      const { fingerprint, subjectText, der, notAfter } = authority.certificate
      const anchor = { fingerprint, subject: subjectText, der, notAfter, addedAt: now }
      await tx.anchors.insert({ ...anchor, source: 'authority', state: 'active' })
    }
  })
}

const rowOf = ({ certificate, chain, id }: Authority, all: readonly Authority[], now: Instant): Certificate => {
  const parent = chain[1] && all.find(({ certificate: { serial } }) => serial === chain[1]?.serial)
  const [firstAlert] = alertsOf({ ...certificate, slot: null }, authorityThresholds, null)
  return {
    authority: parent?.id ?? id,
    serial: certificate.serial,
    device: null,
    profile: null,
    source: 'authority',
    state: 'confirmed',
    subject: certificate.subjectText,
    spkiSha256: certificate.spkiSha256,
    der: certificate.der,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    slot: null,
    renewalOpenedAt: null,
    predecessor: null,
    token: null,
    issuedAt: now,
    deliveredAt: null,
    confirmedAt: null,
    supersededAt: null,
    crlShard: fullShard,
    nextAlertAt: firstAlert?.at ?? null,
  }
}
