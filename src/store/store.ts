import type {
  Certificate,
  CertificateKey,
  CertificateSource,
  CertificateState,
  CrlRecord,
  Device,
  DeviceState,
  EnrolmentToken,
  EventRecord,
  GatewayRecord,
  Instant,
  Profile,
  Revocation,
  Serial,
  TrustAnchor,
  TrustAnchorState,
  TruststoreRecord,
} from '../model.ts'

/**
 * The truth. Reads see what is durable; writes happen in `transaction` alone and are durable when it resolves.
 * Instants are parameters: the store never supplies the time. Errors: `conflict` (a unique key exists), `damaged`,
 * `unavailable`.
 */
export interface Store extends Reads {
  /**
   * Runs `work` alone among writers, all or nothing. `work` awaits nothing but `tx`: it may share one durable commit
   * with other waiting transactions, and its failure undoes its own writes only. After an error of the store within
   * `work` the transaction can only fail, whether `work` catches it or not.
   */
  transaction<T>(work: (tx: Writes) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** An optional ability of a store: a consistent copy into the file `path` while it is in use. */
export interface Backup {
  backup(path: string, progress?: (done: number, total: number) => void): Promise<void>
}

export interface Reads {
  devices: DeviceReads
  tokens: TokenReads
  certificates: CertificateReads
  revocations: RevocationReads
  crls: CrlReads
  anchors: AnchorReads
  truststores: TruststoreReads
  gateways: GatewayReads
  events: EventReads
  profiles: ProfileReads
}

export interface Writes extends Reads {
  devices: DeviceWrites
  tokens: TokenWrites
  certificates: CertificateWrites
  revocations: RevocationWrites
  crls: CrlWrites
  anchors: AnchorWrites
  truststores: TruststoreWrites
  gateways: GatewayWrites
  events: EventWrites
  profiles: ProfileWrites
}

export interface DeviceReads {
  get(id: string): Promise<Device | null>
  /** Ordered by id, after `after`. */
  list(filter: { state?: DeviceState; after?: string; limit: number }): Promise<Device[]>
}
export interface DeviceWrites extends DeviceReads {
  /** Inserts, or replaces profile, labels and state of the device of that id. */
  put(device: Device): Promise<void>
  recordContact(id: string, contact: { at: Instant; agentVersion?: string; lastError?: string | null }): Promise<void>
}

export interface TokenReads {
  get(hash: string): Promise<EnrolmentToken | null>
}
export interface TokenWrites extends TokenReads {
  insert(token: EnrolmentToken): Promise<void>
  /** False when it was used already. */
  use(hash: string, at: Instant): Promise<boolean>
  /** Removes tokens that expired before `before`, some thousands at most; returns how many. */
  prune(before: Instant): Promise<number>
}

export interface CertificateFilter {
  device?: string
  state?: CertificateState
  source?: CertificateSource
  expiresBefore?: Instant
  after?: CertificateKey
  limit: number
}
export interface CertificateReads {
  get(key: CertificateKey): Promise<Certificate | null>
  /** Ordered by authority and serial. */
  list(filter: CertificateFilter): Promise<Certificate[]>
  /** Oldest first. */
  successorsOf(key: CertificateKey): Promise<Certificate[]>
  forToken(hash: string): Promise<Certificate[]>
  /** The device's certificates under the profile that are neither superseded, revoked nor expired, newest first. */
  liveOf(device: string, profile: string): Promise<Certificate[]>
  /** When each certificate of the device was issued since `since`, oldest first. */
  issuedSince(device: string, since: Instant): Promise<Instant[]>
  /** Live ones of source `issued` or `listener` whose slot is past and whose renewal is not open, by slot. */
  dueForRenewal(now: Instant, limit: number): Promise<Certificate[]>
  /** Those with `nextAlertAt` past, by it. */
  dueForAlert(now: Instant, limit: number): Promise<Certificate[]>
  /** Those past `notAfter` and neither expired nor revoked, by `notAfter`. */
  dueToExpire(now: Instant, limit: number): Promise<Certificate[]>
  count(): Promise<Record<CertificateState, number>>
}
/** Marks on a certificate that may change; an absent field stays as it is. */
export type CertificateChange = Partial<
  Pick<
    Certificate,
    'state' | 'slot' | 'renewalOpenedAt' | 'deliveredAt' | 'confirmedAt' | 'supersededAt' | 'nextAlertAt'
  >
>
export interface CertificateWrites extends CertificateReads {
  /** `conflict` where (authority, serial) or (predecessor, spkiSha256) or (token, spkiSha256) exists. */
  insert(certificate: Certificate): Promise<void>
  /** Changes it if its state is one of `from`; false when it is not. */
  change(key: CertificateKey, from: readonly CertificateState[], change: CertificateChange): Promise<boolean>
  /** Removes expired and revoked ones whose `notAfter` lies before `before` and that no revocation holds; returns how many. */
  prune(before: Instant, limit: number): Promise<number>
}

/** What a CRL says of a revocation. */
export type CrlRow = Pick<Revocation, 'serial' | 'revokedAt' | 'reason'>

export interface RevocationsForCrl {
  /** For `markPublished`: a revocation that comes later lies beyond it, and is not among `chunks`. */
  mark: number
  /** What was published when it was read: the highest mark so far. */
  published: number
  /** By serial, read as they are asked for. */
  chunks: AsyncIterable<CrlRow[]>
}

/** Which revocations a CRL was built from. */
export interface CrlSpan {
  mark: number
  published: number
  /** As it was given to `forCrl`. */
  previousThisUpdate: Instant | null
}

/** How the next CRL differs from one that was built before. */
export interface CrlChanges {
  mark: number
  /** How many the next must hold by the store's own count. */
  count: number
  /** By serial, as are `dropped`. */
  added: CrlRow[]
  dropped: Serial[]
}
export interface RevocationReads {
  get(key: CertificateKey): Promise<Revocation | null>
  /**
   * What the next CRL of the shard must hold: every revocation not published yet, and every one whose certificate was not
   * past expiry at `previousThisUpdate` (RFC 5280 §3.3); null: all.
   */
  forCrl(authority: string, shard: number, previousThisUpdate: Instant | null): Promise<RevocationsForCrl>
  /**
   * How what `forCrl` would give now differs from what it gave then; its cost grows with the changes, but for one count along an
   * index. Null: there are more than `limit`, or what was read then is not what was marked as published last.
   */
  changesForCrl(
    shard: { authority: string; shard: number },
    then: CrlSpan,
    previousThisUpdate: Instant,
    limit: number,
  ): Promise<CrlChanges | null>
  countUnpublished(authority: string, shard: number): Promise<number>
}
export interface RevocationWrites extends RevocationReads {
  /** False when it is revoked already: the first revocation stands. */
  insert(revocation: Revocation): Promise<boolean>
  /** Marks what `forCrl` gave with this `mark`, and is not marked yet, as published in CRL `number`. */
  markPublished(authority: string, shard: number, number: bigint, mark: number): Promise<void>
  /** Removes some thousands at most that were published and whose certificate expired before `before`; returns how many. */
  prune(authority: string, shard: number, before: Instant): Promise<number>
}

export interface CrlReads {
  get(authority: string, shard: number): Promise<CrlRecord | null>
  list(): Promise<CrlRecord[]>
}
export interface CrlWrites extends CrlReads {
  /** Replaces the record of the shard; `conflict` unless the number grows. */
  put(record: CrlRecord): Promise<void>
}

export interface AnchorReads {
  list(): Promise<TrustAnchor[]>
}
export interface AnchorWrites extends AnchorReads {
  /** Nothing happens where the fingerprint exists. */
  insert(anchor: TrustAnchor): Promise<void>
  /** `not-found` where there is none of that fingerprint. */
  setState(fingerprint: string, state: TrustAnchorState): Promise<void>
}

export interface TruststoreReads {
  latest(): Promise<TruststoreRecord | null>
  get(version: number): Promise<TruststoreRecord | null>
  /** Newest first. */
  list(limit: number): Promise<TruststoreRecord[]>
}
export interface TruststoreWrites extends TruststoreReads {
  /** `conflict` where the version exists. */
  insert(record: TruststoreRecord): Promise<void>
}

export interface GatewayReads {
  get(name: string): Promise<GatewayRecord | null>
  list(): Promise<GatewayRecord[]>
}
export interface GatewayWrites extends GatewayReads {
  put(record: GatewayRecord): Promise<void>
}

/** An event of `sink` that was refused and waits, and with it all later events of its subject. */
export interface ParkedEvent {
  event: EventRecord
  attempts: number
  nextAttemptAt: Instant
  reason: string
}
export interface EventReads {
  /** Events with a larger sequence, in order. */
  after(sequence: number, limit: number): Promise<EventRecord[]>
  /** The last `limit` events, oldest first. */
  tail(limit: number): Promise<EventRecord[]>
  /** The newest event of the subject among `detailTypes`: what it was told last. */
  latest(subject: string, detailTypes: readonly string[]): Promise<EventRecord | null>
  /** The sequence up to which `sink` has delivered or parked; 0: nothing yet. */
  cursor(sink: string): Promise<number>
  /** Subjects of `sink` with parked events. */
  parkedSubjects(sink: string): Promise<string[]>
  /** The parked events of `sink` in order, of the subjects whose first one is due. */
  parkedDue(sink: string, now: Instant, limit: number): Promise<ParkedEvent[]>
}
export interface EventWrites extends EventReads {
  /** Appends to the outbox; the store gives `sequence` and `id`. */
  append(event: Omit<EventRecord, 'sequence' | 'id'>): Promise<EventRecord>
  setCursor(sink: string, sequence: number): Promise<void>
  /** Parks, or replaces attempts, time and reason of a parked one. */
  park(sink: string, parked: ParkedEvent): Promise<void>
  unpark(sink: string, sequence: number): Promise<void>
  /**
   * Removes events older than `before` that every one of `sinks` has passed and none has parked, some thousands at most;
   * returns how many.
   */
  prune(before: Instant, sinks: readonly string[]): Promise<number>
}

export interface ProfileReads {
  /** The newest recorded version of the profile; versions count from 1. */
  latest(name: string): Promise<{ version: number; profile: Profile } | null>
}
export interface ProfileWrites extends ProfileReads {
  /** Records the profile as a new version where it differs from the newest; returns the version. */
  record(profile: Profile, at: Instant): Promise<number>
}
