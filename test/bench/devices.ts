import { issueCertificate } from '../../src/lifecycle/issue-certificate.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import type { Certificate } from '../../src/model.ts'
import { encodeBase64Lines } from '../../src/protocol/base64.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { makeCsr, makeKey } from '../support/certificates.ts'

/** A device with a certificate in use, and the request for its successor. */
export interface BenchDevice {
  certificate: Certificate
  /** PEM. */
  key: string
  chain: string
  /** Body of simplereenroll. */
  request: string
}

/** Puts a device with a confirmed certificate into the inventory, as enrolment and a first contact would leave it. */
export const makeDevice = async (id: string, ports: Ports): Promise<BenchDevice> => {
  const profile = ports.profiles.get('device')
  if (profile === undefined) throw new Error('the place has no profile "device"')
  const key = makeKey()
  const san = { dns: [], uri: [`spiffe://everleaf.local/device/${id}`], ip: [] }
  const now = ports.clock.now()
  const issued = await issueCertificate(
    {
      profile,
      device: id,
      source: 'issued',
      subject: encodeName([['CN', id]]),
      san,
      spki: key.spki,
      predecessor: null,
      token: null,
    },
    ports,
    now,
  )
  const certificate: Certificate = { ...issued, state: 'confirmed', deliveredAt: now, confirmedAt: now }
  await ports.store.transaction(async (tx) => {
    await tx.devices.put({
      id,
      profile: 'device',
      labels: {},
      state: 'active',
      createdAt: now,
      lastContactAt: null,
      agentVersion: null,
      lastError: null,
    })
    await tx.certificates.insert(certificate)
  })
  return {
    certificate,
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    chain: encodePem('CERTIFICATE', certificate.der),
    request: encodeBase64Lines((await makeCsr({ subject: id, san })).der),
  }
}
