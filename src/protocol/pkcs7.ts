import {
  contextConstructed,
  expectTag,
  integer,
  objectIdentifier,
  readDer,
  readFields,
  readObjectIdentifier,
  readOnly,
  readSmallInteger,
  sequence,
  set,
  sortedForSet,
  tags,
} from './der.ts'
import { ProtocolError } from './error.ts'
import { oid } from './oid.ts'

const maximumOctets = 1_048_576
const maximumCertificates = 100

/** A certs-only CMS message: SignedData without signers (RFC 5652 §5.1, RFC 5272 §4.1). A SET OF has no order of ours: DER sorts it. */
export const encodeCertsOnly = (certificates: readonly Uint8Array[]): Uint8Array => {
  const signedData = sequence(
    integer(1),
    set(),
    sequence(objectIdentifier(oid.data)),
    contextConstructed(0, ...sortedForSet(certificates)),
    set(),
  )
  return sequence(objectIdentifier(oid.signedData), contextConstructed(0, signedData))
}

/** The certificates of a certs-only message, 1 MiB and 100 of them at most; a message with signers or content is refused. */
export const decodeCertsOnly = (der: Uint8Array): Uint8Array[] => {
  const outer = readFields(readDer(der, { bytes: maximumOctets }), 'ContentInfo')
  const type = readObjectIdentifier(outer.next('contentType'), 'contentType')
  if (type !== oid.signedData)
    throw new ProtocolError(`ContentInfo: type ${type}, expected signedData ${oid.signedData}`)
  const inner = readOnly(outer.next('content', 0xa0), 'content')
  outer.end()

  const fields = readFields(inner, 'SignedData')
  const version = readSmallInteger(fields.next('version'), 'version of SignedData')
  if (version !== 1) throw new ProtocolError(`SignedData: version ${version}, expected 1`)
  fields.next('digestAlgorithms', tags.set)
  const content = readFields(fields.next('encapContentInfo'), 'encapContentInfo')
  const contentType = readObjectIdentifier(content.next('eContentType'), 'eContentType')
  if (contentType !== oid.data)
    throw new ProtocolError(`SignedData: content of type ${contentType}, expected data ${oid.data}`)
  content.end()
  const certificates = fields.next('certificates', 0xa0).children
  fields.optional(0xa1)
  const signers = fields.next('signerInfos', tags.set).children
  fields.end()

  if (signers.length > 0)
    throw new ProtocolError(`SignedData: ${signers.length} signers, expected none in a certs-only message`)
  if (certificates.length === 0 || certificates.length > maximumCertificates) {
    throw new ProtocolError(`SignedData: ${certificates.length} certificates; 1 to ${maximumCertificates} allowed`)
  }
  return certificates.map((certificate) => expectTag(certificate, tags.sequence, 'certificate').bytes)
}
