import { EverleafError, messageOf } from '../errors.ts'
import type { Gateway, GatewayArtefacts, GatewayObservation } from '../gateway/gateway.ts'
import type { Decision, GatewayRecord, Instant } from '../model.ts'
import { sha256Hex } from '../pki/digest.ts'
import { encodeCrlBundle } from '../pki/truststore.ts'
import { gatewayDue } from '../policy/gateway.ts'
import type { Writes } from '../store/store.ts'
import { crlKey, fullShard, type Ports } from './ports.ts'
import { recordEvent, recordEventOnce } from './record-event.ts'

type SyncPorts = Pick<Ports, 'store' | 'clock' | 'publication' | 'gateways' | 'authorities'>

/** Brings one gateway to the current truststore and CRLs, where it is not there already. */
export const syncGateway = async (
  { gateway: name, force = false }: { gateway: string; force?: boolean },
  ports: SyncPorts,
): Promise<Decision> => {
  const { store, clock, gateways } = ports
  const now = clock.now()
  const gateway = gateways.get(name) // gather
  if (!gateway)
    throw new EverleafError('not-found', `no gateway ${name}; there are ${[...gateways.keys()].join(', ') || 'none'}`)
  const desired = await desiredArtefacts(ports)
  const record = await store.gateways.get(name)
  try {
    const observed = await gateway.observe()
    const decision = gatewayDue({ desired, observed, record, force }) // decide
    if (decision.act === 'leave' || desired === null) return decision
    if (decision.reason === 'drifted') await store.transaction((tx) => recordDrift({ name, observed, now }, tx))
    refuseTooLarge(gateway, desired)
    await gateway.apply(desired) // act
    await store.transaction((tx) => recordUpdate({ name, desired, reason: decision.reason, now }, tx)) // record
    return decision
  } catch (error) {
    await store.transaction((tx) => recordFailure({ name, record, message: messageOf(error), now }, tx))
    throw error
  }
}

/** A CRL is published whatever its size, since others need it; the gateway that cannot take it keeps the one it has. */
const refuseTooLarge = ({ name, limits: { crlBytes } }: Gateway, { crl }: GatewayArtefacts): void => {
  const bytes = new TextEncoder().encode(crl.pem).length
  if (crlBytes !== null && bytes > crlBytes)
    throw new EverleafError('refused', `gateway ${name}: the CRLs have ${bytes} bytes, it takes ${crlBytes}`)
}

/**
 * The newest truststore with the live CRL of every authority. Null while one of them is missing or is not the recorded
 * one: an old or foreign CRL that somebody put there must not reach a gateway, and is replaced by the next look at it.
 */
const desiredArtefacts = async ({
  store,
  publication,
  authorities,
}: Pick<SyncPorts, 'store' | 'publication' | 'authorities'>): Promise<GatewayArtefacts | null> => {
  const truststore = await store.truststores.latest()
  const crls: Uint8Array[] = []
  for (const { id } of authorities.all) {
    const live = await publication.get(crlKey(id, fullShard))
    const record = await store.crls.get(id, fullShard)
    if (live === null || sha256Hex(live.bytes) !== record?.digest) return null
    crls.push(live.bytes)
  }
  if (truststore === null) return null
  const { version, pem, digest } = truststore
  const bundle = encodeCrlBundle(crls)
  return {
    truststore: { version, pem, sha256: digest },
    crl: { pem: bundle, sha256: sha256Hex(new TextEncoder().encode(bundle)) },
  }
}

const recordUpdate = async (
  { name, desired, reason, now }: { name: string; desired: GatewayArtefacts; reason: string; now: Instant },
  tx: Writes,
): Promise<void> => {
  const { truststore, crl } = desired
  await tx.gateways.put({
    name,
    state: 'current',
    truststoreVersion: truststore.version,
    truststoreDigest: truststore.sha256,
    crlDigest: crl.sha256,
    message: '',
    updatedAt: now,
  })
  const detail = {
    Gateway: name,
    TruststoreVersion: truststore.version,
    TruststoreSha256: truststore.sha256,
    CrlSha256: crl.sha256,
    Reason: reason,
  }
  await recordEvent(tx, { at: now, subject: name, detailType: 'Gateway Updated', detail })
}

const recordFailure = async (
  { name, record, message, now }: { name: string; record: GatewayRecord | null; message: string; now: Instant },
  tx: Writes,
): Promise<void> => {
  const { truststoreVersion = null, truststoreDigest = null, crlDigest = null } = record ?? {}
  await tx.gateways.put({
    name,
    state: 'failed',
    truststoreVersion,
    truststoreDigest,
    crlDigest,
    message,
    updatedAt: now,
  })
  const detail = { Gateway: name, Reason: message }
  await recordEventOnce(tx, { at: now, subject: name, detailType: 'Gateway Warning', detail }, ['Gateway Updated'])
}

const recordDrift = (
  { name, observed, now }: { name: string; observed: GatewayObservation; now: Instant },
  tx: Writes,
): Promise<void> => {
  const detail = {
    Gateway: name,
    ...(observed.truststoreSha256 === null ? {} : { ObservedTruststoreSha256: observed.truststoreSha256 }),
    ...(observed.crlSha256 === null ? {} : { ObservedCrlSha256: observed.crlSha256 }),
    Reason: 'what it enforces is not what was applied',
  }
  return recordEventOnce(tx, { at: now, subject: name, detailType: 'Gateway Drifted', detail }, ['Gateway Updated'])
}
