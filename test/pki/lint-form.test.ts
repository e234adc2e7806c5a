import { encodeExtension } from '../../src/pki/extensions.ts'
import { formRules } from '../../src/pki/lint-form.ts'
import {
  bitString,
  contextPrimitive,
  integer,
  objectIdentifier,
  octetString,
  sequence,
} from '../../src/protocol/der.ts'
import { fromHex } from '../../src/protocol/hex.ts'
import { oid } from '../../src/protocol/oid.ts'
import { editFields } from './certificate-surgery.ts'
import type { Trips } from './lint-builders.ts'
import { addExtension, leafTbs, testTrips, withExtension, withField } from './lint-builders.ts'

const trips: Trips = {
  version: [
    ['v1', editFields(leafTbs(), (fields) => fields.slice(1)), /v1/],
    ['v2', withField(0, fromHex('a003020101')), /v2, it must be v3/],
  ],
  size: [
    [
      'a certificate of 16 KiB',
      addExtension(encodeExtension('1.2.3', false, octetString(new Uint8Array(15_000)))),
      /octets/,
    ],
  ],
  'serial positive': [
    ['a negative serial', withField(1, integer(-(2n ** 100n))), /positive/],
    ['zero', withField(1, integer(0)), /positive/],
  ],
  'serial length': [
    ['21 octets', withField(1, integer(2n ** 160n)), /21 octets/],
    ['20 octets and a sign octet', withField(1, integer(2n ** 159n)), /21 octets/],
  ],
  'serial entropy': [['a counter', withField(1, integer(1234)), /11 bits/]],
  'time form': [
    [
      'GeneralizedTime before 2050',
      withField(4, sequence(fromHex('180f32303236303533313132303030305a'), fromHex('170d3236303830313132303030305a'))),
      /UTCTime/,
    ],
  ],
  'unique identifiers': [
    [
      'a subject unique id',
      editFields(leafTbs(), (fields) => fields.toSpliced(7, 0, contextPrimitive(2, Uint8Array.of(0, 1)))),
      /1 unique/,
    ],
  ],
  'extension once': [
    [
      'keyUsage twice',
      addExtension(encodeExtension(oid.keyUsage, true, bitString(Uint8Array.of(0x80), 7))),
      /2\.5\.29\.15 occurs/,
    ],
  ],
  'extension known': [
    ['an extension of somebody', addExtension(encodeExtension('1.2.3.4', false, octetString())), /1\.2\.3\.4/],
  ],
  'extension criticality': [
    [
      'keyUsage not critical',
      withExtension(oid.keyUsage, encodeExtension(oid.keyUsage, false, bitString(Uint8Array.of(0x80), 7))),
      /must be marked critical/,
    ],
    [
      'extended key usage critical',
      withExtension(
        oid.extKeyUsage,
        encodeExtension(oid.extKeyUsage, true, sequence(objectIdentifier(oid.clientAuth))),
      ),
      /must be marked not critical/,
    ],
  ],
}

testTrips(Object.keys(formRules), trips)
