import { deliverCertificate } from '../../lifecycle/deliver-certificate.ts'
import type { Certificate } from '../../model.ts'
import { encodeBase64, encodeBase64Lines } from '../../protocol/base64.ts'
import { estMediaTypes, estTransferEncoding } from '../../protocol/est.ts'
import { encodeCertsOnly } from '../../protocol/pkcs7.ts'
import type { Answer } from '../http/answer.ts'
import type { DeviceCall } from './call.ts'

/**
 * RFC 8951 §3 leaves the layout of the base64 open, and none suits all: OpenSSL's reader, which libest and people use, needs
 * a line end in the first 1,024 characters; strongSwan before 5.9.11 takes line ends for digits. The former send Accept, the
 * latter does not. BouncyCastle reads both, where the answer says that it is base64.
 */
export const estAnswer = (type: string, der: Uint8Array, { request }: Pick<DeviceCall, 'request'>): Answer => ({
  status: 200,
  headers: { 'Content-Type': type, ...estTransferEncoding },
  body: request.headers.accept === undefined ? encodeBase64(der) : encodeBase64Lines(der),
})

/** Exactly the one certificate (RFC 7030 §4.2.3); that it went out is recorded after the last byte left. */
export const certificateAnswer = (certificate: Certificate, call: DeviceCall): Answer => {
  const { ports, facts } = call
  facts.issued = certificate.serial
  return {
    ...estAnswer(estMediaTypes.enrolled, encodeCertsOnly([certificate.der]), call),
    flushed: () => deliverCertificate({ authority: certificate.authority, serial: certificate.serial }, ports),
  }
}
