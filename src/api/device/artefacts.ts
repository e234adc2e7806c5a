import { EverleafError } from '../../errors.ts'
import type { Ports } from '../../lifecycle/ports.ts'
import { currentCrls, type ServedArtefact, trustAnchors } from '../../lifecycle/served-artefacts.ts'
import { isUnchanged } from '../http/conditional.ts'
import type { DeviceRoute } from './call.ts'
import { authenticatedClient } from './client.ts'

const artefactRoute = (
  type: string,
  missing: string,
  read: (ports: Ports) => Promise<ServedArtefact>,
): DeviceRoute => ({
  method: 'GET',
  async handle(call) {
    await authenticatedClient(call, 'read')
    const { pem, etag } = await read(call.ports)
    if (pem === '') throw new EverleafError('not-found', missing)
    const headers = { ETag: etag, 'Cache-Control': 'private, no-cache' }
    if (isUnchanged(call.request.headers, etag)) return { status: 304, headers }
    return { status: 200, headers: { ...headers, 'Content-Type': type }, body: pem }
  },
})

/** The truststore that is live, as PEM. */
export const deviceTrustAnchors = artefactRoute(
  'application/pem-certificate-chain',
  'no truststore was published yet',
  trustAnchors,
)

/** The live CRL of every authority, as PEM. */
export const deviceCrls = artefactRoute('application/x-pem-file', 'no CRL was published yet', currentCrls)
