import { X509Certificate } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Server, startServer } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { enrolDevice } from './device.ts'
import { openTls } from './strict-client.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

/** The listener's certificate lives for six seconds, renewed after about three. */
const listenerProfile = { validity: '6s', renewal: { after: 0.5, jitter: 0.1 } }
const transfers = 18

describe.skipIf(!requireTool('curl'))('the listener of a running server', () => {
  let server: Server
  let workshop: Workshop
  beforeAll(async () => {
    server = await startServer({ settings: { listenerProfile } })
    workshop = await openWorkshop()
  })
  afterAll(async () => {
    await server?.stop()
    await workshop?.close()
  })

  /** Opens a connection as a stranger who verifies, and says which certificate it was shown. */
  const shown = async (): Promise<{ serial: string; notAfter: number }> => {
    const { socket } = await openTls(server.ports.device, { ca: server.pem.root })
    const certificate = new X509Certificate(socket.getPeerX509Certificate()?.raw ?? '')
    socket.destroy()
    return { serial: certificate.serialNumber, notAfter: certificate.validToDate.getTime() }
  }

  it('gets one certificate after the other without a restart, while curl stays connected by mutual TLS', async () => {
    const { key, cert } = await enrolDevice(server, 'steady-1')
    const keyFile = await workshop.write('steady.key', key)
    const chain = await workshop.write('steady.pem', cert + server.pem.issuing)
    const url = `${server.deviceUrl}/everleaf/v1/trust-anchors`
    const told = ['-sS', '-w', '%{http_code} %{num_connects}\\n', '-o', '/dev/null']
    const targets = Array.from({ length: transfers }, () => [url, '-o', '/dev/null'])
      .flat()
      .slice(0, -2)
    const trust = ['--cacert', server.files.root, '--cert', chain, '--key', keyFile]
    const first = await shown()
    let isOver = false
    const curl = workshop.run('curl', ...told, ...trust, '--rate', '2/s', ...targets).finally(() => {
      isOver = true
    })
    const seen = new Map([[first.serial, first.notAfter]])
    while (!isOver) {
      const { serial, notAfter } = await shown()
      expect(notAfter).toBeGreaterThan(Date.now())
      seen.set(serial, notAfter)
      await pause(200)
    }
    const outcomes = (await curl).trim().split('\n')
    expect(outcomes).toEqual(['200 1', ...Array.from({ length: transfers - 1 }, () => '200 0')])
    expect(Date.now()).toBeGreaterThan(first.notAfter)
    expect(seen.size).toBeGreaterThanOrEqual(3)
    expect(await server.certificates('steady-1')).toMatchObject([{ state: 'confirmed' }])
    const { certificates } = await server.admin<{ certificates: Array<{ state: string }> }>(
      'certificates?source=listener',
    )
    const states = certificates.map(({ state }) => state)
    expect(states.filter((state) => state === 'confirmed')).toHaveLength(1)
  })
})
