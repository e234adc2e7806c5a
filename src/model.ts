/**
 * The words of Everleaf, as types. One meaning and one spelling each (RFC 5280, RFC 7030, RFC 9773).
 *
 * device       an endpoint with an identity, its labels, its contact history
 * certificate  one issued, imported or partner certificate, by authority and serial
 * lineage      the chain of certificates of one device under one profile, each naming its predecessor
 * authority    a CA that can issue and maybe sign CRLs
 * profile      what a certificate may contain, how long it lives, how it is renewed
 * slot         the instant drawn once per certificate at which its renewal is due
 * trust anchor a CA (or partner) certificate that gateways shall trust
 * truststore   the PEM bundle of a set of anchors, versioned, with a manifest
 * CRL shard    one of the fixed parts into which an authority's revocations are split; shard 0 alone = the full CRL
 * gateway      a place that enforces mutual TLS with our truststore and CRL
 * publication  where artefacts are put
 * contact      an authenticated request from a device
 * event        a fact for the outside, written in the same transaction as the change
 */

/** Unix time in milliseconds. What enters a certificate or CRL is truncated to whole seconds. */
export type Instant = number
/** A length of time in milliseconds. */
export type Duration = number
/** Lower-case hexadecimal, even length, no separators, no DER sign byte. Built only by `pki/serial.ts`. */
export type Serial = string

export type CertificateState = 'issued' | 'delivered' | 'confirmed' | 'superseded' | 'revoked' | 'expired'
/**
 * `issued`: to a device, renewed by us. `listener`: this server's own, renewed by us. `authority`: a CA's own certificate.
 * `imported` and `partner`: issued elsewhere. The last three are watched and alarmed on, never renewed.
 */
export type CertificateSource = 'issued' | 'listener' | 'authority' | 'imported' | 'partner'

/** A certificate is named by who issued it and its serial number. `authority` is the authority's id, or the issuer's name for imported ones. */
export interface CertificateKey {
  authority: string
  serial: Serial
}

export interface Certificate extends CertificateKey {
  device: string | null
  profile: string | null
  source: CertificateSource
  state: CertificateState
  /** Subject as RFC 4514 text, for people. The truth is in `der`. */
  subject: string
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hexadecimal. */
  spkiSha256: string
  der: Uint8Array
  notBefore: Instant
  notAfter: Instant
  /** When its renewal is due; null: never renewed by us. */
  slot: Instant | null
  /** Set when the renewal was opened at the slot: the device is told to renew now. */
  renewalOpenedAt: Instant | null
  predecessor: CertificateKey | null
  /** SHA-256 of the enrolment token that it was issued for, so that a lost answer can be repeated. */
  token: string | null
  issuedAt: Instant
  deliveredAt: Instant | null
  confirmedAt: Instant | null
  supersededAt: Instant | null
  crlShard: number
  /** The next instant at which an alert about it falls due; null: none left. */
  nextAlertAt: Instant | null
}

export type DeviceState = 'active' | 'retired'

export interface Device {
  id: string
  profile: string
  labels: Record<string, string>
  state: DeviceState
  createdAt: Instant
  lastContactAt: Instant | null
  agentVersion: string | null
  lastError: string | null
}

/** A one-time enrolment token. Only the hash of it is ever stored. */
export interface EnrolmentToken {
  /** SHA-256 of the token, lower-case hexadecimal. */
  hash: string
  device: string
  profile: string
  labels: Record<string, string>
  createdAt: Instant
  expiresAt: Instant
  usedAt: Instant | null
}

/** RFC 5280 §5.3.1 reason codes that an operator may give. `certificateHold` and `removeFromCRL` are left out: a revocation is final. */
export type RevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'cACompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'privilegeWithdrawn'
  | 'aACompromise'

export interface Revocation extends CertificateKey {
  crlShard: number
  revokedAt: Instant
  reason: RevocationReason
  /** Expiry of the certificate; for one adopted from a live CRL and unknown here, that of its authority. */
  notAfter: Instant
  /** Number of the first published CRL that holds it; null: not published yet. */
  publishedIn: bigint | null
}

/** What was published last for one shard of one authority. */
export interface CrlRecord {
  authority: string
  shard: number
  number: bigint
  thisUpdate: Instant
  nextUpdate: Instant
  entries: number
  /** SHA-256 of the DER, lower-case hexadecimal. */
  digest: string
}

export type TrustAnchorState = 'incoming' | 'active' | 'retiring' | 'retired'

export interface TrustAnchor {
  /** SHA-256 of the DER, lower-case hexadecimal. */
  fingerprint: string
  subject: string
  der: Uint8Array
  source: 'authority' | 'partner'
  state: TrustAnchorState
  notAfter: Instant
  addedAt: Instant
}

/** A published truststore version. Versions count from 1 without gaps. */
export interface TruststoreRecord {
  version: number
  /** SHA-256 of the PEM, lower-case hexadecimal. */
  digest: string
  /** Fingerprints of the anchors in it, in their order. */
  anchors: string[]
  pem: string
  publishedAt: Instant
}

export type GatewayState = 'pending' | 'current' | 'failed' | 'drifted'

export interface GatewayRecord {
  name: string
  state: GatewayState
  truststoreVersion: number | null
  truststoreDigest: string | null
  crlDigest: string | null
  message: string
  updatedAt: Instant
}

export interface Profile {
  name: string
  validity: Duration
  keys: readonly KeyType[]
  subject: Record<string, string>
  san: { dns: readonly string[]; uri: readonly string[] }
  renewal: {
    keys: 'rekey' | 'reuse'
    /** Fraction of the lifetime after which the slot lies, e.g. 2/3. */
    after: number
    /** Width of the band around `after` over which slots are drawn, as a fraction of the lifetime. */
    jitter: number
    /** How long after expiry a certificate may still renew; 0: not at all. */
    grace: Duration
    /** At most this many certificates for one device in a quarter of the lifetime. */
    burst: number
  }
  alerts: {
    /** Times before expiry, longest first. Given for a life of 90 days or more and scaled down for a shorter one. */
    expiry: readonly Duration[]
    /** Fraction of the lifetime past the slot at which a certificate that was not renewed is overdue. */
    overdueAfter: number
  }
}

export type KeyType = 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'ec-p256' | 'ec-p384'

/** An event as it lies in the outbox. `id` is stable over deliveries, `sequence` grows in the order of the changes. */
export interface EventRecord {
  sequence: number
  id: string
  time: Instant
  detailType: string
  /** Events of one subject are delivered in order: a device id, an authority id, a gateway's name. */
  subject: string
  detail: Record<string, unknown>
}

/** What a policy decided and why: the log line, the metric's label, what a test asserts. */
export interface Decision<Act extends string = string, Reason extends string = string> {
  act: Act
  reason: Reason
  message: string
}
