import type { IncomingHttpHeaders } from 'node:http'
import type { Authority } from '../../authority/authority.ts'
import { EverleafError } from '../../errors.ts'
import { crlKey, type Ports } from '../../lifecycle/ports.ts'
import type { Instant } from '../../model.ts'
import { parseCrl, verifyCrl } from '../../pki/crl.ts'
import { sha256Hex } from '../../pki/digest.ts'
import type { Answer } from '../http/answer.ts'
import { httpDate, isUnchanged, quoted } from '../http/conditional.ts'

export interface ServedCrl {
  der: Uint8Array
  sha256: string
  thisUpdate: Instant
  nextUpdate: Instant
}

export type CrlReader = (authority: Authority, shard: number) => Promise<ServedCrl>

/**
 * Reads the CRL that is live. One that was read and verified before is served again while the manifest still names it:
 * a large CRL is not hashed and parsed for every client.
 */
export const createCrlReader = ({ publication }: Pick<Ports, 'publication'>): CrlReader => {
  const verified = new Map<string, ServedCrl>()
  const underWay = new Map<string, Promise<ServedCrl>>()

  const read = async (authority: Authority, key: string): Promise<ServedCrl> => {
    const live = await publication.get(key)
    if (live === null) throw new EverleafError('not-found', 'this CRL was not published yet')
    const served = verify(live.bytes, authority)
    verified.set(key, served)
    return served
  }

  return async (authority, shard) => {
    const key = crlKey(authority.id, shard)
    const known = verified.get(key)
    if (known !== undefined && (await publication.manifest(key))?.sha256 === known.sha256) return known
    const running = underWay.get(key) ?? read(authority, key).finally(() => underWay.delete(key))
    underWay.set(key, running)
    return running
  }
}

/** Bytes that are not a CRL of this authority are never served as one (P5). */
const verify = (bytes: Uint8Array, authority: Authority): ServedCrl => {
  try {
    const crl = parseCrl(bytes)
    if (!verifyCrl(crl, authority.certificate)) throw new EverleafError('damaged', `not signed by ${authority.id}`)
    return { der: bytes, sha256: sha256Hex(bytes), thisUpdate: crl.thisUpdate, nextUpdate: crl.nextUpdate }
  } catch (cause) {
    throw new EverleafError(
      'unavailable',
      `the published CRL of ${authority.id} cannot be read; it is served again once rebuilt`,
      { cause },
    )
  }
}

/** A revocation shall be seen soon, so caches ask again after this long even where the CRL is valid for longer. */
const longestAge = 300_000

/** The CRL as RFC 2585 §4.2 has it; caches keep it no longer than it is valid. */
export const crlAnswer = (crl: ServedCrl, headers: IncomingHttpHeaders, now: Instant): Answer => {
  const age = Math.max(0, Math.min(longestAge, crl.nextUpdate - now))
  const etag = quoted(crl.sha256)
  const caching = {
    ETag: etag,
    'Last-Modified': httpDate(crl.thisUpdate),
    'Cache-Control': `public, max-age=${Math.floor(age / 1000)}`,
    Expires: httpDate(now + age),
  }
  if (isUnchanged(headers, etag, crl.thisUpdate)) return { status: 304, headers: caching }
  return { status: 200, headers: { ...caching, 'Content-Type': 'application/pkix-crl' }, body: crl.der }
}
