import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock/clock.ts'
import { EverleafError } from '../errors.ts'
import type { Duration, Instant, KeyType } from '../model.ts'
import {
  type CertificateContent,
  certificateToBeSigned,
  type ParsedCertificate,
  parseCertificate,
} from '../pki/certificate.ts'
import { lintCertificate } from '../pki/lint.ts'
import { serialFromBytes } from '../pki/serial.ts'
import { algorithmForKey, assembleSigned } from '../pki/signature.ts'
import { encodeName } from '../protocol/name.ts'
import { encodePem } from '../protocol/pem.ts'
import type { Random } from '../random/random.ts'
import { refuseUsedFolder, writeAuthorityFiles } from './files.ts'
import { createSigningKey, encryptPrivateKey, generatePrivateKey, spkiOf } from './keys.ts'

export interface NewAuthority {
  validity: Duration
  key: KeyType
}

export interface InitialiseLocalAuthoritiesOptions {
  /** Made; must not exist or be empty. */
  directory: string
  /** First word of the subject names, e.g. `Everleaf`. */
  name: string
  root: NewAuthority
  issuing: NewAuthority
  passphrase: string
  /** Base URL of the public listener, for good: it is written into the issuing CA's certificate. */
  publicUrl: string
  clock: Clock
  random: Random
}

/** Before this, readers whose clock is behind would refuse the new CA and all that it issues. */
const datedBack: Duration = 60 * 60_000

interface Made {
  key: KeyObject
  certificate: ParsedCertificate
}

type Wanted = Pick<CertificateContent, 'subject' | 'notAfter' | 'extensions'> & { key: KeyType; notBefore: Instant }

const make = async (wanted: Wanted, random: Random, parent: Made | null): Promise<Made> => {
  const { subject, notBefore, notAfter, extensions } = wanted
  const key = await generatePrivateKey(wanted.key)
  const spki = spkiOf(key)
  const signer = { key: parent?.key ?? key, spki: parent?.certificate.spki ?? spki }
  const signatureAlgorithm = algorithmForKey(signer.spki)
  const tbs = certificateToBeSigned({
    serial: serialFromBytes(random.bytes(16)),
    signatureAlgorithm,
    issuer: parent?.certificate.subject ?? subject,
    subject,
    notBefore,
    notAfter,
    spki,
    authorityKeyIdentifier: parent?.certificate.subjectKeyIdentifier ?? null,
    extensions,
  })
  lintCertificate(tbs, parent?.certificate ?? null)
  const signing = createSigningKey(signer.key, signer.spki, signatureAlgorithm)
  const certificate = parseCertificate(assembleSigned(tbs, signatureAlgorithm, await signing.sign(tbs)))
  if (!(await signing.verify(certificate.tbs, certificate.signature)))
    throw new EverleafError('internal', `${certificate.subjectText} does not read back as signed`)
  return { key, certificate }
}

/**
 * Makes a root and an issuing CA under it, generation 1 of each: `root-g1` and `issuing-g1`. All or nothing; throws
 * `conflict` where the folder is used, `configuration` where the issuing CA would outlive the root.
 */
export const initialiseLocalAuthorities = async (
  options: InitialiseLocalAuthoritiesOptions,
): Promise<{ root: ParsedCertificate; issuing: ParsedCertificate }> => {
  const { directory, name, passphrase, publicUrl, clock, random } = options
  if (options.issuing.validity > options.root.validity)
    throw new EverleafError(
      'configuration',
      `authority.issuing.validity ${options.issuing.validity} ms is longer than authority.root.validity ${options.root.validity} ms`,
    )
  await refuseUsedFolder(directory)
  const now = Math.floor(clock.now() / 1000) * 1000
  const keyUsage = ['keyCertSign', 'cRLSign'] as const
  const notBefore = now - datedBack
  const root = await make(
    {
      subject: encodeName([['CN', `${name} Root G1`]]),
      key: options.root.key,
      notBefore,
      notAfter: now + options.root.validity,
      extensions: { authority: { pathLength: 1 }, keyUsage },
    },
    random,
    null,
  )
  const issuing = await make(
    {
      subject: encodeName([['CN', `${name} Issuing G1`]]),
      key: options.issuing.key,
      notBefore,
      notAfter: now + options.issuing.validity,
      extensions: {
        authority: { pathLength: 0 },
        keyUsage,
        crlDistributionPoint: `${publicUrl}/crl/root-g1/0.crl`,
        caIssuers: `${publicUrl}/ca/root-g1.cer`,
      },
    },
    random,
    root,
  )
  const files = async (id: string, made: Made) => ({
    id,
    certificate: encodePem('CERTIFICATE', made.certificate.der),
    key: await encryptPrivateKey(made.key, passphrase, random),
  })
  await writeAuthorityFiles(directory, [await files('root-g1', root), await files('issuing-g1', issuing)])
  return { root: root.certificate, issuing: issuing.certificate }
}
