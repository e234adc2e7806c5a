import type { Decision, GatewayRecord } from '../model.ts'

interface Digests {
  truststoreSha256: string | null
  crlSha256: string | null
}

export interface GatewayFacts {
  /** Null while an artefact is still to be published, for the first time or again. */
  desired: { truststore: { sha256: string; version: number }; crl: { sha256: string } } | null
  observed: Digests
  record: GatewayRecord | null
  force: boolean
}

export type GatewayReason =
  | 'nothing-published'
  | 'first'
  | 'drifted'
  | 'cut-off'
  | 'outdated'
  | 'failed-before'
  | 'forced'
  | 'current'

/** Whether a gateway must be brought to the current artefacts, and whether somebody else changed it meanwhile. */
export const gatewayDue = ({
  desired,
  observed,
  record,
  force,
}: GatewayFacts): Decision<'apply' | 'leave', GatewayReason> => {
  if (desired === null)
    return { act: 'leave', reason: 'nothing-published', message: 'no truststore, or a CRL is still to be published' }
  const isDesired = observed.truststoreSha256 === desired.truststore.sha256 && observed.crlSha256 === desired.crl.sha256
  const apply = (reason: GatewayReason, message: string) => ({ act: 'apply' as const, reason, message })
  if (record === null) return apply('first', 'not applied yet')
  if (record.state === 'failed') return apply('failed-before', record.message)
  const isAsRecorded = observed.truststoreSha256 === record.truststoreDigest && observed.crlSha256 === record.crlDigest
  if (!isAsRecorded && isDesired) return apply('cut-off', 'it has what is current, and that was not recorded')
  if (!isAsRecorded) return apply('drifted', 'somebody else changed what it enforces')
  if (!isDesired) return apply('outdated', `truststore ${record.truststoreVersion} or its CRL is no longer current`)
  if (force) return apply('forced', 'asked for')
  return { act: 'leave', reason: 'current', message: `truststore ${desired.truststore.version} and CRLs are in force` }
}
