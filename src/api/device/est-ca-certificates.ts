import type { Authorities } from '../../authority/authority.ts'
import { estMediaTypes } from '../../protocol/est.ts'
import { encodeCertsOnly } from '../../protocol/pkcs7.ts'
import type { DeviceRoute } from './call.ts'
import { estAnswer } from './est-answer.ts'

/** RFC 7030 §4.1: every intermediate and root, of former authorities too, so that what they issued still verifies. */
export const caCertificates: DeviceRoute = {
  method: 'GET',
  handle: async (call) =>
    estAnswer(estMediaTypes.caCertificates, encodeCertsOnly(certificatesOf(call.ports.authorities)), call),
}

const certificatesOf = ({ issuing, all }: Authorities): Uint8Array[] => {
  const chains = [issuing, ...all].flatMap(({ chain }) => chain)
  return [...new Map(chains.map(({ fingerprint, der }) => [fingerprint, der])).values()]
}
