import { deliverCertificate } from '../../lifecycle/deliver-certificate.ts'
import type { Certificate } from '../../model.ts'
import { encodeBase64Lines } from '../../protocol/base64.ts'
import { estMediaTypes, estTransferEncoding } from '../../protocol/est.ts'
import { encodeCertsOnly } from '../../protocol/pkcs7.ts'
import type { Answer } from '../http/answer.ts'
import type { DeviceCall } from './call.ts'

/** Base64 in lines: libest needs the breaks. BouncyCastle decodes only what says that it is base64. */
export const estAnswer = (type: string, der: Uint8Array): Answer => ({
  status: 200,
  headers: { 'Content-Type': type, ...estTransferEncoding },
  body: encodeBase64Lines(der),
})

/** Exactly the one certificate (RFC 7030 §4.2.3); that it went out is recorded after the last byte left. */
export const certificateAnswer = (certificate: Certificate, { ports, facts }: DeviceCall): Answer => {
  facts.issued = certificate.serial
  return {
    ...estAnswer(estMediaTypes.enrolled, encodeCertsOnly([certificate.der])),
    flushed: () => deliverCertificate({ authority: certificate.authority, serial: certificate.serial }, ports),
  }
}
