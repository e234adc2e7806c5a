import { EverleafError, isEverleafError } from '../errors.ts'
import type { Certificate, Instant } from '../model.ts'
import { type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { sha256Hex } from '../pki/digest.ts'
import { watchedThresholds } from '../policy/alerts.ts'
import { decodePem } from '../protocol/pem.ts'
import { issuerOf } from './identify-device.ts'
import type { Ports } from './ports.ts'
import { watchedCertificate } from './watched-certificate.ts'

export interface ImportRequest {
  pem: string
  source: 'imported' | 'partner'
}

const mostAtOnce = 10_000

/** Takes certificates issued elsewhere into the inventory, to be watched and alarmed on. All of them, or none. */
export const importCertificates = async (
  { pem, source }: ImportRequest,
  { store, clock, authorities }: Pick<Ports, 'store' | 'clock' | 'authorities'>,
): Promise<{ imported: string[]; duplicates: string[] }> => {
  const now = clock.now()
  const parsed = decodeAll(pem) // gather
  const rows = parsed.map((certificate) => rowOf(certificate, source, authorities, now)) // decide
  const imported: string[] = []
  const duplicates: string[] = []
  await store.transaction(async (tx) => {
    for (const row of rows) {
      if (await tx.certificates.get(row)) duplicates.push(row.serial)
      else {
        await tx.certificates.insert(row)
        imported.push(row.serial)
      }
    }
  }) // record
  return { imported, duplicates }
}

const decodeAll = (pem: string): ParsedCertificate[] => {
  const blocks = decodeBlocks(pem)
  if (blocks.length === 0)
    throw new EverleafError('bad-input', 'no certificate found; what is wanted is PEM, "-----BEGIN CERTIFICATE-----"')
  return blocks.map((der, index) => {
    try {
      return parseCertificate(der)
    } catch (error) {
      if (!isEverleafError(error)) throw error
      throw new EverleafError('bad-input', `certificate ${index + 1} of ${blocks.length}: ${error.message}`, {
        cause: error,
      })
    }
  })
}

const decodeBlocks = (pem: string): Uint8Array[] => {
  try {
    return decodePem(pem, 'CERTIFICATE', { maximum: mostAtOnce })
  } catch (error) {
    throw new EverleafError('bad-input', (error as Error).message, { cause: error })
  }
}

const rowOf = (
  parsed: ParsedCertificate,
  source: ImportRequest['source'],
  authorities: Ports['authorities'],
  now: Instant,
): Certificate => {
  const authority = issuerOf(parsed, authorities.all)?.id ?? `elsewhere-${sha256Hex(parsed.issuer).slice(0, 16)}`
  return watchedCertificate(parsed, { authority, source, thresholds: watchedThresholds, now })
}
