import { gatewayContract } from '../contract/gateway.ts'
import { fakeGateway } from '../fakes/gateway.ts'
import { artefacts } from './script-gateway.ts'

gatewayContract('the fake gateway', async () => {
  const gateway = fakeGateway()
  const empty = artefacts(0).truststore
  return {
    gateway,
    artefacts,
    unusable: () => ({ ...artefacts(9), crl: { pem: '', sha256: emptySha256 }, truststore: empty }),
    enforced: async () => gateway.enforced?.truststore.version ?? null,
    close: async () => undefined,
  }
})

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
