import type { Certificate, Decision, Instant } from '../model.ts'

export interface ListenerFacts {
  /** The inventory's row of the certificate in use; null: none in use, or not one of the issuing authority's. */
  row: Certificate | null
  /** Names in the certificate in use. */
  names: readonly string[]
  wanted: readonly string[]
  force: boolean
  now: Instant
}

export type ListenerReason = 'none' | 'revoked' | 'clock-behind' | 'slot' | 'names-changed' | 'forced' | 'current'

/** Whether the device listener needs a new certificate now. */
export const listenerDue = ({
  row,
  names,
  wanted,
  force,
  now,
}: ListenerFacts): Decision<'issue' | 'leave', ListenerReason> => {
  const issue = (reason: ListenerReason, message: string) => ({ act: 'issue' as const, reason, message })
  if (row === null) return issue('none', 'no certificate of the issuing authority is in use')
  if (row.state === 'revoked') return issue('revoked', `certificate ${row.serial} is revoked`)
  if (now < row.notBefore)
    return issue('clock-behind', `certificate ${row.serial} is not valid yet: nobody would accept it`)
  if (row.slot !== null && now >= row.slot) return issue('slot', `the slot of ${row.serial} is reached`)
  const missing = wanted.filter((name) => !names.includes(name))
  if (missing.length > 0) return issue('names-changed', `certificate ${row.serial} lacks ${missing.join(', ')}`)
  if (force) return issue('forced', 'asked for')
  return { act: 'leave', reason: 'current', message: `certificate ${row.serial} is good` }
}
