import { sha256Hex } from '../pki/digest.ts'
import { encodeCrlBundle, encodeTruststore } from '../pki/truststore.ts'
import type { Manifest, Publication } from '../publication/publication.ts'
import { crlKey, fullShard, type Ports } from './ports.ts'

export interface ServedArtefact {
  pem: string
  /** Quoted, strong (RFC 9110 §8.8.3). */
  etag: string
}

const served = (pem: string): ServedArtefact => ({
  pem,
  etag: `"${sha256Hex(new TextEncoder().encode(pem)).slice(0, 32)}"`,
})

/**
 * What devices shall trust this server by: its own authorities. Never the truststore, whose partners vouch for clients and
 * could then pose as this server.
 */
export const trustAnchors = async ({ authorities }: Pick<Ports, 'authorities'>): Promise<ServedArtefact> =>
  served(encodeTruststore(authorities.all.map(({ certificate }) => certificate)))

interface Remembered {
  /** SHA-256 of each CRL, as the manifests say. */
  versions: string
  artefact: ServedArtefact
}

/** What was read and encoded last: a large CRL takes seconds, and each check-in of each device asks for its ETag. */
const remembered = new WeakMap<Publication, Remembered>()

/** The live CRLs of all authorities, as PEM; one that is not published yet is left out. Read anew where a manifest changed. */
export const currentCrls = async ({
  publication,
  authorities,
}: Pick<Ports, 'publication' | 'authorities'>): Promise<ServedArtefact> => {
  const keys = authorities.all.map(({ id }) => crlKey(id, fullShard))
  const manifests = await Promise.all(keys.map((key) => publication.manifest(key)))
  const last = remembered.get(publication)
  if (last?.versions === versionsOf(manifests)) return last.artefact
  const live = (await Promise.all(keys.map((key) => publication.get(key)))).filter((each) => each !== null)
  const artefact = served(live.length === 0 ? '' : encodeCrlBundle(live.map(({ bytes }) => bytes)))
  // Only what its manifest describes: anything else may be mended under the same manifest.
  if (live.length === keys.length && live.every(({ manifest }) => manifest !== null))
    remembered.set(publication, { versions: versionsOf(live.map(({ manifest }) => manifest)), artefact })
  return artefact
}

const versionsOf = (manifests: ReadonlyArray<Manifest | null>): string =>
  manifests.map((manifest) => manifest?.sha256).join()
