import { EverleafError } from '../../errors.ts'
import { enrolDevice } from '../../lifecycle/enrol-device.ts'
import { renewCertificate } from '../../lifecycle/renew-certificate.ts'
import type { Answer } from '../http/answer.ts'
import { type DeviceCall, type DeviceRoute, presentedCertificate } from './call.ts'
import { authenticatedClient } from './client.ts'
import { basicCredentials } from './credentials.ts'
import { certificateAnswer } from './est-answer.ts'
import { csrOf, readEstBody } from './est-request.ts'

/**
 * RFC 7030 §4.2.1. The token alone says who enrols. A certificate beside it would be a second, perhaps other, identity
 * (§3.3.2 leaves it to the server): refused rather than ignored.
 */
export const simpleEnrol: DeviceRoute = {
  method: 'POST',
  async handle(call) {
    const body = await readEstBody(call)
    return call.gate.pass(() => enrol(body, call))
  },
}

/** RFC 7030 §4.2.2. The client certificate alone says who renews; a password counts for nothing here. */
export const simpleReenrol: DeviceRoute = {
  method: 'POST',
  async handle(call) {
    const body = await readEstBody(call)
    return call.gate.pass(() => renew(body, call))
  },
}

const enrol = async (body: Uint8Array, call: DeviceCall): Promise<Answer> => {
  if (presentedCertificate(call) !== null)
    throw new EverleafError(
      'forbidden',
      'simpleenroll takes a one-time token and no client certificate; renew with simplereenroll, or connect without the certificate to enrol anew',
    )
  const { user, password: token } = basicCredentials(call.request.headers.authorization)
  const csr = csrOf(body, call)
  const certificate = await enrolDevice({ user, token, label: call.label, csr }, call.ports)
  call.facts.device = certificate.device
  return certificateAnswer(certificate, call)
}

const renew = async (body: Uint8Array, call: DeviceCall): Promise<Answer> => {
  const client = await authenticatedClient(call, 'renew')
  if (call.request.headers.authorization !== undefined)
    throw new EverleafError(
      'forbidden',
      'simplereenroll takes the client certificate that is renewed and no password; a one-time token belongs to simpleenroll',
    )
  const csr = csrOf(body, call)
  return certificateAnswer(await renewCertificate({ client, label: call.label, csr }, call.ports), call)
}
