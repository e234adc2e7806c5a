import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Gateway, GatewayObservation } from '../../src/gateway/gateway.ts'

/** A gateway that takes everything and keeps what it enforces in a file, so that it outlives the process that changes it. */
export const fileGateway = (name: string, path: string): Gateway => ({
  name,
  limits: { truststoreCertificates: null, truststoreBytes: null, crlBytes: null },
  observe: async () =>
    existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as GatewayObservation)
      : { truststoreSha256: null, crlSha256: null },
  async apply({ truststore, crl }) {
    writeFileSync(path, JSON.stringify({ truststoreSha256: truststore.sha256, crlSha256: crl.sha256 }))
  },
})
