import { describe, expect, test } from 'vitest'
import {
  type DetailType,
  detailTypes,
  type EventDetails,
  eventJsonSchemas,
  eventSchemas,
} from '../../src/events/catalogue.ts'

const certificate = {
  CommonName: 'pump-7',
  CertificateAuthority: 'issuing-g1',
  SerialNumber: '4f0a',
  NotAfter: '2027-01-01T00:00:00.000Z',
}
const iso = certificate.NotAfter
const digest = 'ab'.repeat(32)

/** The least that each event can say. The type makes this list complete. */
const least: EventDetails = {
  'Certificate Issued': { ...certificate, NotBefore: iso },
  'Certificate Renewed': { ...certificate, NotBefore: iso, PredecessorSerialNumber: '4f0b' },
  'Certificate Renewed After Expiry': {
    ...certificate,
    NotBefore: iso,
    PredecessorSerialNumber: '4f0b',
    DaysPastExpiry: 0.0001,
  },
  'Certificate Delivered': certificate,
  'Certificate Confirmed': certificate,
  'Certificate Revoked': { ...certificate, Reason: 'keyCompromise', RevokedAt: iso },
  'Certificate Expired': certificate,
  'Certificate Approaching Expiration': { ...certificate, DaysToExpiry: 30 },
  'Certificate Renewal Overdue': { ...certificate, DaysToExpiry: 0.1235, RenewalDueAt: iso },
  'Certificate Renewal Failed': { ...certificate, Reason: 'the authority refused' },
  'Device Enrolled': { DeviceId: 'pump-7', Profile: 'default' },
  'Device Retired': { DeviceId: 'pump-7', Reason: 'cessationOfOperation', RevokedCertificates: 1 },
  'Lineage Forked': {
    DeviceId: 'pump-7',
    CertificateAuthority: 'issuing-g1',
    SerialNumber: '4f0a',
    SuccessorSerialNumbers: ['4f0b', '4f0c'],
  },
  'Truststore Published': { Version: 1, Sha256: digest, Certificates: 2 },
  'Truststore Refused': { Reason: 'an anchor would be lost' },
  'CRL Published': {
    CertificateAuthority: 'issuing-g1',
    Shard: 0,
    CrlNumber: '1798761600000',
    Entries: 0,
    ThisUpdate: iso,
    NextUpdate: iso,
    Sha256: digest,
  },
  'CRL Refused': { CertificateAuthority: 'issuing-g1', Shard: 0, Reason: 'the number does not grow' },
  'CRL Stale': { CertificateAuthority: 'issuing-g1', Shard: 0 },
  'Gateway Updated': { Gateway: 'edge' },
  'Gateway Drifted': { Gateway: 'edge', Reason: 'the truststore was changed by hand' },
  'Gateway Warning': { Gateway: 'edge', Reason: 'the reload took nine seconds' },
  'Authority Expiring': { ...certificate, DaysToExpiry: 400 },
}

test('there is one entry for each event of the catalogue', () => {
  expect(detailTypes.toSorted()).toEqual(Object.keys(least).toSorted())
})

describe.each(detailTypes)('%s', (type: DetailType) => {
  test('takes the least that it can say, and not without any of it', () => {
    const detail: Record<string, unknown> = least[type]
    expect(eventSchemas[type].parse(detail)).toEqual(detail)
    for (const key of Object.keys(detail)) {
      const { [key]: _, ...without } = detail
      expect(eventSchemas[type].safeParse(without).success, `without ${key}`).toBe(false)
    }
  })

  test('names its keys as ACM does, and takes no other and no null', () => {
    expect(Object.keys(eventSchemas[type].shape).filter((key) => !/^([A-Z][a-z0-9]+)+$/.test(key))).toEqual([])
    expect(eventSchemas[type].safeParse({ ...least[type], Unknown: 1 }).success).toBe(false)
    for (const key of Object.keys(eventSchemas[type].shape))
      expect(eventSchemas[type].safeParse({ ...least[type], [key]: null }).success, key).toBe(false)
  })

  test('has a JSON Schema that requires the same and leaves room for keys to come', () => {
    const schema = eventJsonSchemas()[type] as { title: string; required: string[]; additionalProperties?: boolean }
    expect(schema.title).toBe(type)
    expect(schema.required.toSorted()).toEqual(Object.keys(least[type]).toSorted())
    expect(schema.additionalProperties).toBeUndefined()
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  })
})

test('days have at most four decimals and may be past', () => {
  const { DaysToExpiry } = eventSchemas['Certificate Approaching Expiration'].shape
  for (const days of [45, 0.0002, 12.3456, -3.5, 3650.1234]) expect(DaysToExpiry.safeParse(days).success).toBe(true)
  for (const days of [0.00023, 1 / 3, Number.NaN, Number.POSITIVE_INFINITY, '3'])
    expect(DaysToExpiry.safeParse(days).success).toBe(false)
})

test('a detail-type is at most 128 characters, as buses ask', () => {
  for (const type of detailTypes) expect(type.length).toBeLessThanOrEqual(128)
})
