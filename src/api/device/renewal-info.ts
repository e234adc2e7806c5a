import { renewalInfo } from '../../lifecycle/renewal-info.ts'
import { parseCertificateId } from '../../protocol/renewal-info.ts'
import type { DeviceRoute } from './call.ts'
import { translateProtocolError } from './json.ts'

/** RFC 9773 §4: when to renew, for anybody who knows the certificate. */
export const renewalInformation: DeviceRoute = {
  method: 'GET',
  async handle({ parameter, ports }) {
    const id = translateProtocolError(() => parseCertificateId(parameter))
    const { info, retryAfter } = await renewalInfo(id, ports)
    return {
      status: 200,
      headers: {
        'Content-Type': 'application/json',
        'Retry-After': String(Math.max(1, Math.ceil(retryAfter / 1000))),
      },
      body: JSON.stringify(info),
    }
  },
}
