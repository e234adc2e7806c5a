import { sha256Hex } from '../pki/digest.ts'
import { encodeCrlBundle } from '../pki/truststore.ts'
import { crlKey, fullShard, type Ports, truststoreKey } from './ports.ts'

export interface ServedArtefact {
  pem: string
  /** Quoted, strong (RFC 9110 §8.8.3). */
  etag: string
}

const served = (pem: string): ServedArtefact => ({
  pem,
  etag: `"${sha256Hex(new TextEncoder().encode(pem)).slice(0, 32)}"`,
})

/** The truststore that is live; empty before the first was published. */
export const trustAnchors = async ({ publication }: Pick<Ports, 'publication'>): Promise<ServedArtefact> => {
  const live = await publication.get(truststoreKey)
  return served(live ? new TextDecoder().decode(live.bytes) : '')
}

/** The live CRLs of all authorities, as PEM; one that is not published yet is left out. */
export const currentCrls = async ({
  publication,
  authorities,
}: Pick<Ports, 'publication' | 'authorities'>): Promise<ServedArtefact> => {
  const live = await Promise.all(authorities.all.map(({ id }) => publication.get(crlKey(id, fullShard))))
  const crls = live.flatMap((artefact) => (artefact === null ? [] : [artefact.bytes]))
  return served(crls.length === 0 ? '' : encodeCrlBundle(crls))
}
