import { checkIn } from '../../lifecycle/check-in.ts'
import { parseCheckInRequest } from '../../protocol/check-in.ts'
import type { DeviceRoute } from './call.ts'
import { authenticatedClient } from './client.ts'
import { readJson, translateProtocolError } from './json.ts'

/** Over mutual TLS: what the device is and has, against when to renew and which artefacts are current. */
export const deviceCheckIn: DeviceRoute = {
  method: 'POST',
  async handle(call) {
    const body = await readJson(call)
    const response = await call.gate.pass(async () => {
      const client = await authenticatedClient(call, 'read')
      return checkIn({ client, request: translateProtocolError(() => parseCheckInRequest(body)) }, call.ports)
    })
    return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(response) }
  },
}
