import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock/clock.ts'
import { EverleafError, messageOf } from '../errors.ts'
import { type ParsedCertificate, parseCertificate } from '../pki/certificate.ts'
import { sameBytes } from '../pki/same-bytes.ts'
import { verifySignature } from '../pki/signature.ts'
import { decodePem } from '../protocol/pem.ts'
import type { Authorities, Authority, Issuer } from './authority.ts'
import { type AuthorityFiles, certificateFile, keyFile, readAuthorityFiles } from './files.ts'
import { createCrlSigner, createIssuer } from './issuer.ts'
import { openPrivateKey, spkiOf } from './keys.ts'

export {
  type InitialiseLocalAuthoritiesOptions,
  initialiseLocalAuthorities,
  type NewAuthority,
} from './initialise-local.ts'

export interface OpenLocalAuthoritiesOptions {
  directory: string
  passphrase: string
  clock: Clock
}

interface Loaded {
  id: string
  certificate: ParsedCertificate
  key: KeyObject | null
}

const isSelfIssued = ({ issuer, subject }: ParsedCertificate): boolean => sameBytes(issuer, subject)

const readCertificate = ({ id, certificate }: AuthorityFiles, directory: string): ParsedCertificate => {
  try {
    const [der = new Uint8Array()] = decodePem(certificate, 'CERTIFICATE', { maximum: 1 })
    const parsed = parseCertificate(der)
    if (parsed.authority === null) throw new EverleafError('damaged', `${parsed.subjectText} is not a CA`)
    return parsed
  } catch (error) {
    throw new EverleafError('damaged', `${certificateFile(directory, id)}: ${messageOf(error)}`, { cause: error })
  }
}

const load = (files: AuthorityFiles, { directory, passphrase }: OpenLocalAuthoritiesOptions): Loaded => {
  const { id } = files
  const certificate = readCertificate(files, directory)
  if (files.key === null) return { id, certificate, key: null }
  const path = keyFile(directory, id)
  const key = openPrivateKey(files.key, passphrase, path)
  if (!sameBytes(spkiOf(key), certificate.spki))
    throw new EverleafError(
      'damaged',
      `${path} is not the key of ${certificateFile(directory, id)} (${certificate.subjectText})`,
    )
  return { id, certificate, key }
}

const hasSigned = (parent: ParsedCertificate, child: ParsedCertificate): boolean =>
  sameBytes(parent.subject, child.issuer) &&
  child.signatureAlgorithm !== null &&
  verifySignature({
    spki: parent.spki,
    algorithm: child.signatureAlgorithm,
    data: child.tbs,
    signature: child.signature,
  })

/** From the certificate up to its root. Throws `damaged` where a link is missing. */
const chainOf = (certificate: ParsedCertificate, all: readonly ParsedCertificate[]): ParsedCertificate[] => {
  const chain = [certificate]
  for (let last = certificate; !isSelfIssued(last); ) {
    const parent = all.find((candidate) => hasSigned(candidate, last))
    if (parent === undefined || chain.includes(parent))
      throw new EverleafError(
        'damaged',
        `no certificate here has signed ${last.subjectText}, expected one of ${last.issuerText}`,
      )
    chain.push(parent)
    last = parent
  }
  const root = chain.at(-1) ?? certificate
  if (!hasSigned(root, root)) throw new EverleafError('damaged', `${root.subjectText} has not signed itself`)
  return chain
}

const generationOf = (id: string): number => Number(/^issuing-g(\d+)$/.exec(id)?.[1] ?? 0)

const canIssue = (authority: Authority): authority is Authority & { issuer: Issuer } => authority.issuer !== null

/**
 * Opens the CAs in a folder. A root signs CRLs and issues nothing; `issuing` is the highest generation whose key is there.
 * Throws `configuration` for a wrong passphrase, `damaged` for files that do not belong together. Changes nothing.
 */
export const openLocalAuthorities = async (options: OpenLocalAuthoritiesOptions): Promise<Authorities> => {
  const { directory, clock } = options
  const loaded = (await readAuthorityFiles(directory)).map((files) => load(files, options))
  const certificates = loaded.map(({ certificate }) => certificate)
  const all = loaded.map(({ id, certificate, key }): Authority => {
    const signer = key === null ? null : { certificate, key }
    return {
      id,
      certificate,
      chain: chainOf(certificate, certificates),
      issuer: signer === null || isSelfIssued(certificate) ? null : createIssuer(signer, clock),
      crlSigner: signer === null ? null : createCrlSigner(signer),
    }
  })
  const [issuing] = all.filter(canIssue).sort((a, b) => generationOf(b.id) - generationOf(a.id))
  if (issuing === undefined)
    throw new EverleafError(
      'configuration',
      `${directory} holds no issuing CA with its key, expected e.g. issuing-g1.key.pem`,
    )
  return { issuing, all }
}
