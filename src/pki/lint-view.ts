import type { DerNode } from '../protocol/der.ts'
import { bitString, expectTag, readDer, readFields, readOnly, sequence, tags } from '../protocol/der.ts'
import type { ParsedCertificate } from './certificate.ts'
import { parseCertificate } from './certificate.ts'
import type { Extension } from './extensions.ts'
import { readExtensions } from './extensions.ts'

/** What is wrong, or null. One rule looks at one thing. */
export type Rule<View> = (view: View) => string | null

/** The to-be-signed bytes as they lie there, for rules about their form. */
export interface FormView {
  bytes: Uint8Array
  version: DerNode | null
  serial: DerNode
  notBefore: DerNode
  notAfter: DerNode
  uniqueIdentifiers: number
  /** In their order, none left out. */
  extensions: readonly Extension[]
}

/** What they say, and who shall sign them. */
export interface ContentView {
  certificate: ParsedCertificate
  extensions: readonly Extension[]
  /** The certificate of the key that shall sign; for a root its own. */
  signer: ParsedCertificate
  kind: 'root' | 'intermediate' | 'leaf'
}

/** May throw what the parsers throw. */
export function formView(tbs: Uint8Array): FormView {
  const fields = readFields(readDer(tbs), 'tbsCertificate')
  const version = fields.optional(0xa0)
  const serial = fields.next('serialNumber', tags.integer)
  for (const name of ['signature', 'issuer']) fields.next(name, tags.sequence)
  const validity = readFields(fields.next('validity'), 'validity')
  for (const name of ['subject', 'subjectPublicKeyInfo']) fields.next(name, tags.sequence)
  const uniqueIdentifiers = [fields.optional(0x81), fields.optional(0x82)].filter((node) => node !== null).length
  const tagged = fields.optional(0xa3)
  fields.end()
  return {
    bytes: tbs,
    version,
    serial,
    notBefore: validity.next('notBefore'),
    notAfter: validity.next('notAfter'),
    uniqueIdentifiers,
    extensions: tagged === null ? [] : listExtensions(tagged),
  }
}

/** Each by itself, so that a duplicate is seen and not refused by the reader. */
const listExtensions = (tagged: DerNode): Extension[] =>
  expectTag(readOnly(tagged, 'extensions'), tags.sequence, 'extensions').children.flatMap((node) => [
    ...readExtensions(readDer(sequence(node.bytes))).values(),
  ])

/** May throw what the parsers throw. */
export function contentView(form: FormView, issuer: ParsedCertificate | null): ContentView {
  const certificate = parseCertificate(withoutSignature(form.bytes))
  const kind = issuer === null ? 'root' : certificate.authority === null ? 'leaf' : 'intermediate'
  return { certificate, extensions: form.extensions, signer: issuer ?? certificate, kind }
}

/** A certificate whose signature is empty, for the parser alone. */
function withoutSignature(tbs: Uint8Array): Uint8Array {
  const algorithm = readDer(tbs).children.find(({ tag }) => tag === tags.sequence)
  return sequence(tbs, algorithm?.bytes ?? sequence(), bitString(new Uint8Array(0)))
}
