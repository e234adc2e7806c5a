import type { CheckInRequest, CheckInResponse } from '../protocol/check-in.ts'
import type { Identified } from './identify-device.ts'
import type { Ports } from './ports.ts'
import { iso } from './record-event.ts'
import { currentCrls, trustAnchors } from './served-artefacts.ts'

/** Records the contact and tells the device when to renew and which artefacts are current. */
export const checkIn = async (
  { client, request }: { client: Identified; request: CheckInRequest },
  ports: Pick<Ports, 'store' | 'clock' | 'authorities' | 'publication'>,
): Promise<CheckInResponse> => {
  const { store, clock } = ports
  const now = clock.now()
  const { certificate, device, profile } = client
  const anchors = await trustAnchors(ports)
  const crls = await currentCrls(ports)
  await store.transaction((tx) =>
    tx.devices.recordContact(device.id, { at: now, agentVersion: request.agent, lastError: request.error }),
  )
  const slot = certificate.slot ?? certificate.notAfter
  return {
    time: iso(now),
    renew: {
      now: certificate.renewalOpenedAt !== null && certificate.state !== 'superseded',
      at: iso(slot),
      keys: profile?.renewal.keys ?? 'rekey',
    },
    trustAnchors: anchors.etag,
    crl: crls.etag,
  }
}
