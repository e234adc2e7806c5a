import { EverleafError, isEverleafError } from '../../errors.ts'
import { confirmCertificate } from '../../lifecycle/confirm-certificate.ts'
import { type Identified, identifyDevice } from '../../lifecycle/identify-device.ts'
import type { ClientPurpose } from '../../policy/client.ts'
import { type DeviceCall, presentedCertificate } from './call.ts'

/**
 * Who calls, decided for this one request and never remembered with the connection or the TLS session. That a certificate
 * was used is what completes its renewal, so it is recorded before anything is answered (P2).
 */
export const authenticatedClient = async (call: DeviceCall, purpose: ClientPurpose): Promise<Identified> => {
  const certificate = presentedCertificate(call)
  if (certificate === null)
    throw new EverleafError(
      'unauthenticated',
      'this call needs a client certificate in the TLS handshake; none was presented',
    )
  const client = await identify(certificate, purpose, call)
  call.facts.device = client.device.id
  call.facts.serial = client.certificate.serial
  await confirmCertificate(client, call.ports)
  return client
}

/** A certificate that cannot be read is nobody's. */
const identify = async (
  certificate: Uint8Array,
  purpose: ClientPurpose,
  { ports }: DeviceCall,
): Promise<Identified> => {
  try {
    return await identifyDevice({ certificate, purpose }, ports)
  } catch (error) {
    if (!isEverleafError(error, 'bad-input')) throw error
    throw new EverleafError('unauthenticated', `the client certificate is not accepted: ${error.message}`, {
      cause: error,
    })
  }
}
