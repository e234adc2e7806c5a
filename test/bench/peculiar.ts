import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as peculiar from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** Makes certificates of the same content as ours with `@peculiar/x509`, in memory only. */
export const makePeculiarIssuer = async (): Promise<() => Promise<unknown>> => {
  peculiar.cryptoProvider.set(webcrypto)
  const issuer = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const subject = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  return async () => {
    const serialNumber = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex')
    return peculiar.X509CertificateGenerator.create({
      serialNumber,
      issuer: 'CN=Bench Issuing G1',
      subject: 'CN=device-1',
      notBefore: new Date('2030-01-01T00:00:00Z'),
      notAfter: new Date('2030-04-01T00:00:00Z'),
      signingAlgorithm: algorithm,
      publicKey: subject.publicKey,
      signingKey: issuer.privateKey,
      extensions: [
        await peculiar.SubjectKeyIdentifierExtension.create(subject.publicKey),
        await peculiar.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
        new peculiar.BasicConstraintsExtension(false, undefined, true),
        new peculiar.KeyUsagesExtension(peculiar.KeyUsageFlags.digitalSignature, true),
        new peculiar.ExtendedKeyUsageExtension([peculiar.ExtendedKeyUsage.clientAuth]),
        new peculiar.SubjectAlternativeNameExtension([
          { type: 'url', value: 'spiffe://everleaf.local/device/device-1' },
        ]),
        new peculiar.CRLDistributionPointsExtension(['http://localhost:8080/crl/issuing-g1/0.crl']),
        new peculiar.AuthorityInfoAccessExtension({ caIssuers: 'http://localhost:8080/ca/issuing-g1.cer' }),
      ],
    })
  }
}
