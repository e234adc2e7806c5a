import { EverleafError } from '../../errors.ts'
import { type ParsedCsr, parseCsr } from '../../pki/csr.ts'
import { decodeBase64 } from '../../protocol/base64.ts'
import { estMediaTypes, maximumCsrOctets } from '../../protocol/est.ts'
import { readBody } from '../http/body.ts'
import { StatusError } from '../problem.ts'
import { type DeviceCall, tlsSocketOf } from './call.ts'
import { verifyChannelBinding } from './channel-binding.ts'

/** Base64 of the largest request, with its line ends. The body is read before anything is refused, so that every client gets to see the answer. */
const bodyBytes = (maximumCsrOctets * 3) / 2

export const readEstBody = ({ request, response }: DeviceCall): Promise<Uint8Array> =>
  readBody(request, response, bodyBytes)

/**
 * The certificate request in an EST body: base64 of DER with any white space, whatever Content-Transfer-Encoding says
 * (RFC 8951 §3). Throws 415 for another media type, `bad-input` for anything else that is wrong with it.
 */
export const csrOf = (body: Uint8Array, call: DeviceCall): ParsedCsr => {
  const type = call.request.headers['content-type'] ?? ''
  if (type.split(';', 1)[0]?.trim().toLowerCase() !== estMediaTypes.request)
    throw new StatusError(
      415,
      `the Content-Type is ${JSON.stringify(type.slice(0, 100))}, it must be ${estMediaTypes.request}`,
    )
  const csr = parseCsr(decodeRequest(body))
  verifyChannelBinding(csr.challengePassword, tlsSocketOf(call))
  return csr
}

const decodeRequest = (body: Uint8Array): Uint8Array => {
  if (body.length === 0)
    throw new EverleafError('bad-input', 'the body is empty; it must be the base64 of a PKCS #10 request')
  if (body[0] === 0x30 && ((body[1] ?? 0) & 0x80) !== 0)
    throw new EverleafError('bad-input', 'the body is plain DER; EST wants the base64 of it (RFC 8951 §3)')
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')
  if (text.trimStart().startsWith('-----BEGIN'))
    throw new EverleafError('bad-input', 'the body is PEM; EST wants its base64 alone, without the BEGIN and END lines')
  try {
    return decodeBase64(text)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : ''
    throw new EverleafError('bad-input', `the body is not the base64 of a PKCS #10 request: ${detail}`, { cause })
  }
}
