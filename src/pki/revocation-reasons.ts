import type { RevocationReason } from '../model.ts'

/** The reasons that an operator may give (RFC 5280 §5.3.1), in the order of their codes. */
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
  'aACompromise',
] as const satisfies readonly RevocationReason[]
