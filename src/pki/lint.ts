import { EverleafError, messageOf } from '../errors.ts'
import type { ParsedCertificate } from './certificate.ts'
import { type ParsedCrl, parseCrl } from './crl.ts'
import { crlRules } from './lint-crl.ts'
import { formRules } from './lint-form.ts'
import { issuerRules } from './lint-issuer.ts'
import { nameRules } from './lint-names.ts'
import { usageRules } from './lint-usage.ts'
import type { Rule } from './lint-view.ts'
import { contentView, formView } from './lint-view.ts'

/** The last look before a signature, which cannot be taken back: `refused` with the first rule that the bytes break. */
export function lintCertificate(tbs: Uint8Array, issuer: ParsedCertificate | null): void {
  const form = wellFormed(() => formView(tbs))
  holdAgainst(formRules, form)
  const content = wellFormed(() => contentView(form, issuer))
  for (const rules of [usageRules, nameRules, issuerRules]) holdAgainst(rules, content)
}

/**
 * The same for a CRL, once it is signed: it is looked at in full once, and handed out only as what was read here.
 * `previousNumber`: of the last CRL of the same shard, where there was one.
 */
export function lintCrl(
  der: Uint8Array,
  issuer: ParsedCertificate,
  { previousNumber = null }: { previousNumber?: bigint | null } = {},
): ParsedCrl {
  const crl = wellFormed(() => parseCrl(der))
  holdAgainst(crlRules, { crl, signer: issuer, previousNumber })
  return crl
}

function wellFormed<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new EverleafError('refused', `lint well-formed: ${messageOf(error)}`, { cause: error })
  }
}

function holdAgainst<View>(rules: Readonly<Record<string, Rule<View>>>, view: View): void {
  for (const [name, rule] of Object.entries(rules)) {
    const problem = problemOf(rule, view)
    if (problem !== null) throw new EverleafError('refused', `lint ${name}: ${problem}`)
  }
}

/** A rule that cannot even read what it looks at has found a problem too. */
function problemOf<View>(rule: Rule<View>, view: View): string | null {
  try {
    return rule(view)
  } catch (error) {
    return messageOf(error)
  }
}
