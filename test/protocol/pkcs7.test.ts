import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contextConstructed, integer, objectIdentifier, octetString, sequence, set } from '../../src/protocol/der.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { oid } from '../../src/protocol/oid.ts'
import { decodePem, encodePem } from '../../src/protocol/pem.ts'
import { decodeCertsOnly, encodeCertsOnly } from '../../src/protocol/pkcs7.ts'
import { hex, mutationsOf } from '../fixtures/bytes.ts'
import { runOn } from '../fixtures/program.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'

const notBefore = Date.parse('2026-01-01T00:00:00Z')
const notAfter = Date.parse('2027-01-01T00:00:00Z')
const root = makeAuthority({ name: 'Root', notBefore, notAfter, pathLength: 1 })
const issuing = makeAuthority({ name: 'Issuing', parent: root, notBefore, notAfter, pathLength: 0 })
const leaf = makeLeaf({ issuer: issuing, subject: 'device-1', notBefore, notAfter })
const certificates = [root.der, issuing.der, leaf.der]
const sorted = (list: readonly Uint8Array[]) => list.map((der) => Buffer.from(der).toString('hex')).sort()

interface Message {
  type?: string
  version?: Uint8Array
  content?: Uint8Array
  certificates?: Uint8Array[]
  tail?: Uint8Array[]
}

const message = ({
  type = oid.signedData,
  version = integer(1),
  content,
  certificates: list,
  tail = [set()],
}: Message) =>
  sequence(
    objectIdentifier(type),
    contextConstructed(
      0,
      sequence(
        version,
        set(),
        content ?? sequence(objectIdentifier(oid.data)),
        contextConstructed(0, ...(list ?? [leaf.der])),
        ...tail,
      ),
    ),
  )

describe('a certs-only message', () => {
  it('holds the certificates that were put in', () => {
    expect(sorted(decodeCertsOnly(encodeCertsOnly(certificates)))).toEqual(sorted(certificates))
    expect(decodeCertsOnly(encodeCertsOnly([leaf.der]))).toEqual([leaf.der])
  })

  it('does not depend on the order in which they came', () => {
    expect(encodeCertsOnly([...certificates].reverse())).toEqual(encodeCertsOnly(certificates))
  })

  it.skipIf(!requireTool('openssl'))('is read by OpenSSL', () => {
    const files = { 'message.der': encodeCertsOnly(certificates) }
    const result = runOn(files, ['openssl', 'pkcs7', '-inform', 'DER', '-in', 'message.der', '-print_certs'])
    expect(result.stderr).toBe('')
    expect(sorted(decodePem(result.stdout, 'CERTIFICATE'))).toEqual(sorted(certificates))
    const cms = runOn(files, ['openssl', 'cms', '-cmsout', '-inform', 'DER', '-in', 'message.der', '-print', '-noout'])
    expect(cms.status).toBe(0)
  })

  it.skipIf(!requireTool('certtool'))('is read by GnuTLS', () => {
    const files = { 'message.pem': encodePem('PKCS7', encodeCertsOnly(certificates)) }
    const result = runOn(files, ['certtool', '--p7-info', '--infile', 'message.pem'])
    expect(result.stdout).toContain('Number of certificates: 3')
  })

  it.skipIf(!requireTool('openssl'))('made by OpenSSL is read', () => {
    const made = runOn({ 'all.pem': root.pem + leaf.pem }, ['openssl', 'crl2pkcs7', '-nocrl', '-certfile', 'all.pem'])
    const [der = new Uint8Array()] = decodePem(made.stdout, 'PKCS7')
    expect(sorted(decodeCertsOnly(der))).toEqual(sorted([root.der, leaf.der]))
  })

  it.each([
    ['of another type', message({ type: oid.data }), /type 1\.2\.840\.113549\.1\.7\.1, expected signedData/],
    ['of another version', message({ version: integer(3) }), /version 3, expected 1/],
    [
      'with content',
      message({ content: sequence(objectIdentifier(oid.data), contextConstructed(0, octetString(hex('01')))) }),
      /element too many/,
    ],
    ['with content of another type', message({ content: sequence(objectIdentifier('1.2.3')) }), /expected data/],
    ['with a signer', message({ tail: [set(sequence(integer(1)))] }), /1 signers, expected none/],
    ['without certificates', message({ certificates: [] }), /0 certificates/],
    [
      'with too many certificates',
      message({ certificates: Array.from({ length: 101 }, () => hex('3000')) }),
      /101 certificates/,
    ],
    [
      'with something else for a certificate',
      message({ certificates: [hex('a103020101')] }),
      /expected sequence, found \[1\]/,
    ],
    ['with something after the signers', message({ tail: [set(), set()] }), /element too many/],
    ['without signerInfos', message({ tail: [] }), /ends before signerInfos/],
  ])('%s is refused', (_, der, problem) => {
    expect(() => decodeCertsOnly(der)).toThrow(ProtocolError)
    expect(() => decodeCertsOnly(der)).toThrow(problem)
  })

  it('may carry CRLs, which are passed over', () => {
    expect(decodeCertsOnly(message({ tail: [contextConstructed(1, hex('3000')), set()] }))).toEqual([leaf.der])
  })

  it('over a megabyte is refused', () => {
    expect(() => decodeCertsOnly(message({ certificates: [sequence(new Uint8Array(1_048_576))] }))).toThrow(
      /1048576 at most/,
    )
  })

  it('that was damaged is read or refused', () => {
    fc.assert(
      fc.property(mutationsOf(encodeCertsOnly([leaf.der])), (bytes) => {
        try {
          decodeCertsOnly(bytes)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }),
      { numRuns: 1000 },
    )
  })
})
