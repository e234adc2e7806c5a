import type { Authority } from '../authority/authority.ts'
import type { Certificate, Instant } from '../model.ts'
import { authorityThresholds } from '../policy/alerts.ts'
import type { Ports } from './ports.ts'
import { watchedCertificate } from './watched-certificate.ts'

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
  const authority = parent?.id ?? id
  return watchedCertificate(certificate, { authority, source: 'authority', thresholds: authorityThresholds, now })
}
