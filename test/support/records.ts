import type {
  Certificate,
  CrlRecord,
  Device,
  EnrolmentToken,
  EventRecord,
  GatewayRecord,
  Profile,
  Revocation,
  TrustAnchor,
  TruststoreRecord,
} from '../../src/model.ts'

/**
 * Records of the model, complete and plausible. Each call is another record: what must be unique is counted on, so that
 * a test names only what it is about.
 */

export const hour = 3_600_000
export const day = 24 * hour
/** 2027-01-15T08:00:00Z. All records are about then. */
export const start = 1_800_000_000_000

let counter = 0
/** `length` hexadecimal digits that no other call returns, spread like random ones. */
export const hex = (length: number): string => {
  counter += 1
  const spread = (BigInt(counter) * 0x9e3779b97f4a7c15n) % 2n ** 64n
  return (spread.toString(16).padStart(16, '0') + counter.toString(16).padStart(16, '0')).repeat(4).slice(0, length)
}

export const certificate = (change: Partial<Certificate> = {}): Certificate => ({
  authority: 'issuing-g1',
  serial: hex(32),
  device: 'sensor-1',
  profile: 'device',
  source: 'issued',
  state: 'issued',
  subject: 'CN=sensor-1',
  spkiSha256: hex(64),
  der: Uint8Array.of(0x30, 0x03, 0x02, 0x01, counter % 128),
  notBefore: start,
  notAfter: start + 90 * day,
  slot: start + 60 * day,
  renewalOpenedAt: null,
  predecessor: null,
  token: null,
  issuedAt: start,
  deliveredAt: null,
  confirmedAt: null,
  supersededAt: null,
  crlShard: 0,
  nextAlertAt: start + 45 * day,
  ...change,
})

export const device = (change: Partial<Device> = {}): Device => ({
  id: `sensor-${hex(32)}`,
  profile: 'device',
  labels: { site: 'north' },
  state: 'active',
  createdAt: start,
  lastContactAt: null,
  agentVersion: null,
  lastError: null,
  ...change,
})

export const token = (change: Partial<EnrolmentToken> = {}): EnrolmentToken => ({
  hash: hex(64),
  device: 'sensor-1',
  profile: 'device',
  labels: { site: 'north' },
  createdAt: start,
  expiresAt: start + hour,
  usedAt: null,
  ...change,
})

export const revocation = (change: Partial<Revocation> = {}): Revocation => ({
  authority: 'issuing-g1',
  serial: hex(32),
  crlShard: 0,
  revokedAt: start + day,
  reason: 'keyCompromise',
  notAfter: start + 90 * day,
  publishedIn: null,
  ...change,
})

export const crl = (change: Partial<CrlRecord> = {}): CrlRecord => ({
  authority: 'issuing-g1',
  shard: 0,
  number: BigInt(start),
  thisUpdate: start,
  nextUpdate: start + 7 * day,
  entries: 3,
  digest: hex(64),
  ...change,
})

export const anchor = (change: Partial<TrustAnchor> = {}): TrustAnchor => ({
  fingerprint: hex(64),
  subject: 'CN=root-g1',
  der: Uint8Array.of(0x30, 0x00),
  source: 'authority',
  state: 'active',
  notAfter: start + 3650 * day,
  addedAt: start,
  ...change,
})

export const truststore = (change: Partial<TruststoreRecord> = {}): TruststoreRecord => ({
  version: 1,
  digest: hex(64),
  anchors: [hex(64), hex(64)],
  pem: '# root\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n',
  publishedAt: start,
  ...change,
})

export const gateway = (change: Partial<GatewayRecord> = {}): GatewayRecord => ({
  name: 'edge',
  state: 'pending',
  truststoreVersion: null,
  truststoreDigest: null,
  crlDigest: null,
  message: 'not seen yet',
  updatedAt: start,
  ...change,
})

export const event = (change: Partial<EventRecord> = {}): Omit<EventRecord, 'sequence' | 'id'> => ({
  time: start,
  detailType: 'Certificate Issued',
  subject: 'sensor-1',
  detail: { CommonName: 'sensor-1', DaysToExpiry: 90 },
  ...change,
})

export const profile = (change: Partial<Profile> = {}): Profile => ({
  name: 'device',
  validity: 90 * day,
  keys: ['ec-p256', 'rsa-2048'],
  subject: { CN: '{device}' },
  san: { dns: [], uri: ['spiffe://everleaf.test/{device}'] },
  renewal: { keys: 'rekey', after: 2 / 3, jitter: 0.1, grace: 30 * day, burst: 4 },
  alerts: { expiry: [45, 30, 14, 7, 3, 1].map((days) => days * day), overdueAfter: 0.05 },
  ...change,
})
