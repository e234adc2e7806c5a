import { crlKey, fullShard, type Ports, truststoreKey } from '../../src/lifecycle/ports.ts'
import type { Certificate, EventRecord } from '../../src/model.ts'
import { parseCrl, verifyCrl } from '../../src/pki/crl.ts'
import { sha256Hex } from '../../src/pki/digest.ts'
import { encodeCrlBundle, parseTruststore } from '../../src/pki/truststore.ts'
import { toHex } from '../../src/protocol/hex.ts'

/** What the outside holds of a server: answers that it got. */
export interface Witness {
  /** DER of every certificate that a client ever received. */
  received: Uint8Array[]
  /** Serial of every certificate whose revocation was acknowledged. */
  revoked: string[]
}

type Facts = Pick<Ports, 'store' | 'authorities' | 'publication' | 'gateways' | 'listener'>

const twice = (names: readonly string[]): string[] => [
  ...new Set(names.filter((name, index) => names.indexOf(name) !== index)),
]

const everything = { limit: 100_000 }

/** P1 and P2: what left is on record, and nothing was issued twice for the same thing. In words; empty: all is well. */
export const certificateFaults = async ({ store }: Pick<Facts, 'store'>, witness: Witness): Promise<string[]> => {
  const rows = await store.certificates.list(everything)
  const recorded = new Set(rows.map(({ der }) => toHex(der)))
  const lost = witness.received.filter((der) => !recorded.has(toHex(der)))
  const successions = rows.flatMap(({ predecessor, spkiSha256 }) =>
    predecessor === null ? [] : [`${predecessor.serial} with ${spkiSha256}`],
  )
  const enrolments = rows.flatMap(({ token, spkiSha256 }) => (token === null ? [] : [`${token} with ${spkiSha256}`]))
  return [
    ...lost.map((der) => `not in the inventory: ${toHex(der).slice(0, 60)}`),
    ...twice(successions).map((name) => `succeeded twice: ${name}`),
    ...twice(enrolments).map((name) => `enrolled twice: ${name}`),
  ]
}

/** P4 and P5: what is published is whole, ours, as recorded, and holds every revocation. */
export const publicationFaults = async (
  { store, authorities, publication, gateways }: Omit<Facts, 'listener'>,
  { revoked }: Pick<Witness, 'revoked'>,
): Promise<string[]> => {
  const faults: string[] = []
  const bundle: Uint8Array[] = []
  for (const authority of authorities.all) {
    const artefact = await publication.get(crlKey(authority.id, fullShard))
    if (artefact === null) {
      faults.push(`no CRL of ${authority.id}`)
      continue
    }
    bundle.push(artefact.bytes)
    const crl = parseCrl(artefact.bytes)
    const record = await store.crls.get(authority.id, fullShard)
    if (artefact.manifest === null) faults.push(`the CRL of ${authority.id} has no manifest that fits`)
    if (!verifyCrl(crl, authority.certificate)) faults.push(`the CRL of ${authority.id} is not signed by it`)
    if (record?.digest !== sha256Hex(artefact.bytes)) faults.push(`the CRL of ${authority.id} is not the recorded one`)
    const unpublished = await store.revocations.countUnpublished(authority.id, fullShard)
    if (unpublished > 0) faults.push(`${unpublished} revocations of ${authority.id} are in no CRL`)
    if (authority.id !== authorities.issuing.id) continue
    const listed = new Set([...crl.entries()].map(({ serial }) => serial))
    faults.push(...revoked.filter((serial) => !listed.has(serial)).map((serial) => `${serial} is not in the CRL`))
  }
  const live = await publication.get(truststoreKey)
  const versions = (await store.truststores.list(1_000)).map(({ version }) => version).reverse()
  if (versions.some((version, index) => version !== index + 1)) faults.push(`truststore versions ${versions.join()}`)
  const latest = await store.truststores.latest()
  const pem = new TextDecoder().decode(live?.bytes)
  if (latest?.pem !== pem) faults.push('the truststore that is published is not the recorded one')
  else if (parseTruststore(pem).length !== latest.anchors.length) faults.push('the truststore lacks an anchor')
  if (live?.manifest?.version !== String(latest?.version)) faults.push('the truststore has no manifest that fits')
  const crlSha256 = sha256Hex(new TextEncoder().encode(encodeCrlBundle(bundle)))
  for (const gateway of gateways.values()) {
    const observed = await gateway.observe()
    const record = await store.gateways.get(gateway.name)
    if (observed.crlSha256 !== crlSha256) faults.push(`gateway ${gateway.name} enforces another CRL`)
    if (observed.truststoreSha256 !== latest?.digest) faults.push(`gateway ${gateway.name} enforces another truststore`)
    if (record?.state !== 'current' || record.crlDigest !== crlSha256)
      faults.push(`gateway ${gateway.name} is ${record?.state ?? 'not'} on record`)
  }
  return faults
}

/** The listener answers with a certificate on record, and only that one waits for a renewal. */
export const listenerFaults = async ({ store, listener }: Pick<Facts, 'store' | 'listener'>): Promise<string[]> => {
  const current = await listener?.current()
  const rows = await store.certificates.list({ ...everything, source: 'listener' })
  const live = rows.filter(({ state }) => state === 'issued' || state === 'delivered' || state === 'confirmed')
  const told = live.map(({ serial, state }) => `${serial} ${state}`).join()
  return told === `${current?.serial} confirmed`
    ? []
    : [`the listener has ${current?.serial}, on record live: ${told || 'none'}`]
}

const first = ['Certificate Issued', 'Certificate Renewed', 'Certificate Renewed After Expiry']

/** P6, first half: every change of state has its event, once. */
export const eventFaults = async ({ store }: Pick<Facts, 'store'>): Promise<string[]> => {
  const events = await store.events.after(0, 1_000_000)
  const rows = await store.certificates.list(everything)
  const count = (types: readonly string[], { serial }: Certificate): number =>
    events.filter(({ detailType, detail }) => types.includes(detailType) && detail.SerialNumber === serial).length
  const faults: string[] = []
  const expectCount = (row: Certificate, types: readonly string[], isExpected: boolean): void => {
    const found = count(types, row)
    if (found !== (isExpected ? 1 : 0)) faults.push(`${row.device ?? row.source} ${row.serial}: ${found} × ${types[0]}`)
  }
  for (const row of rows.filter(({ source }) => source === 'issued' || source === 'listener')) {
    expectCount(row, first, row.source === 'issued' || row.confirmedAt !== null)
    expectCount(row, ['Certificate Revoked'], row.state === 'revoked')
    const wasHeld = row.predecessor === null || row.deliveredAt !== null || row.confirmedAt !== null
    expectCount(row, ['Certificate Expired'], row.state === 'expired' && row.supersededAt === null && wasHeld)
    if (row.source === 'listener') continue
    expectCount(row, ['Certificate Delivered'], row.deliveredAt !== null)
    expectCount(row, ['Certificate Confirmed'], row.confirmedAt !== null)
    if (row.supersededAt !== null && !events.some((event) => supersedes(event, row)))
      faults.push(`${row.device} ${row.serial} was superseded by nothing`)
  }
  for (const { id } of await store.devices.list(everything))
    if (events.filter(({ detailType, subject }) => detailType === 'Device Enrolled' && subject === id).length !== 1)
      faults.push(`${id} was not told as enrolled once`)
  // Nobody but the server changed a gateway.
  if (events.some(({ detailType }) => detailType === 'Gateway Drifted'))
    faults.push('a gateway was told to have drifted')
  return [...faults, ...crlNumberFaults(events)]
}

const supersedes = ({ detailType, subject, time, detail }: EventRecord, row: Certificate): boolean =>
  detailType === 'Certificate Confirmed' &&
  subject === row.device &&
  time === row.supersededAt &&
  detail.SerialNumber !== row.serial

const crlNumberFaults = (events: readonly EventRecord[]): string[] => {
  const last = new Map<string, bigint>()
  return events.flatMap(({ detailType, subject, detail }) => {
    if (detailType !== 'CRL Published') return []
    const number = BigInt(String(detail.CrlNumber))
    const previous = last.get(subject) ?? 0n
    last.set(subject, number)
    return number > previous ? [] : [`CRL ${number} of ${subject} after ${previous}`]
  })
}

/** An event as a sink got it. */
type Delivered = Pick<EventRecord, 'sequence' | 'id' | 'subject' | 'detailType' | 'detail'>

/**
 * P6, second half: every event arrived, in order per subject, and is the same at each delivery. `cursor`: up to where the
 * sink was served when the server ended; what lies behind it is still to come.
 */
export const deliveryFaults = (
  delivered: readonly Delivered[],
  recorded: readonly EventRecord[],
  cursor = Number.POSITIVE_INFINITY,
): string[] => {
  const faults: string[] = []
  const known = new Map(recorded.map((event) => [event.id, event]))
  const last = new Map<string, number>()
  const seen = new Set<string>()
  for (const { id, sequence, subject, detailType, detail } of delivered) {
    const event = known.get(id)
    if (event === undefined) {
      faults.push(`event ${id} was delivered and is not on record`)
      continue
    }
    if (JSON.stringify([sequence, subject, detailType, detail]) !== JSON.stringify(contentOf(event)))
      faults.push(`event ${id} was delivered with other content`)
    if (seen.has(id)) continue
    seen.add(id)
    if (sequence < (last.get(subject) ?? 0)) faults.push(`event ${sequence} of ${subject} after ${last.get(subject)}`)
    last.set(subject, sequence)
  }
  for (const { id, sequence, subject } of recorded)
    if (sequence <= cursor && !seen.has(id)) faults.push(`event ${sequence} of ${subject} was not delivered`)
  const sequences = recorded.map(({ sequence }) => sequence)
  if (sequences.some((sequence, index) => sequence !== index + 1)) faults.push('the sequence of events has a gap')
  return faults
}

const contentOf = ({ sequence, subject, detailType, detail }: EventRecord) => [sequence, subject, detailType, detail]
