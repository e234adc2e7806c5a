import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseCrl } from '../../src/pki/crl.ts'
import { decodePem } from '../../src/protocol/pem.ts'
import { crlOf } from '../gateway/crl-of.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { type Nginx, requestOnce, startNginx } from '../support/nginx.ts'
import { type Server, startServer, until } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { enrolDevice, type HeldIdentity, renewDevice } from './device.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

const hour = 3_600_000
const life = { notBefore: Date.now() - hour, notAfter: Date.now() + hour }
const stranger = makeAuthority({ name: 'Stranger Root', ...life })
const gatewayIdentity = makeLeaf({
  issuer: stranger,
  subject: 'localhost',
  san: { dns: ['localhost'] },
  eku: ['serverAuth'],
  ...life,
})

/** Short enough that the first CRL has expired before the tests are over. */
const crlValidity = 10_000
const profiles = { device: {}, brief: { validity: '4s' } }

interface GatewayRow {
  name: string
  state: string
  message: string
}

describe.skipIf(![requireTool('nginx'), requireTool('openssl')].every(Boolean))(
  'a real nginx as the gateway of a running server',
  () => {
    let workshop: Workshop
    let nginx: Nginx
    let server: Server
    let live: HeldIdentity
    let firstExpiry: number
    const refusedWhileLive: string[] = []
    const traffic = new AbortController()
    let trafficEnded: Promise<number>

    const files = () => ({ truststore: workshop.path('truststore.pem'), crl: workshop.path('crl.pem') })
    const ask = ({ key, cert }: { key?: string; cert?: string }) =>
      requestOnce(nginx.port, { key, cert, ca: stranger.pem })
    const statusOf = async (identity: { key?: string; cert?: string }) => (await ask(identity)).status
    const gateway = async () => (await server.admin<{ gateways: GatewayRow[] }>('gateways')).gateways[0]
    const eventsOf = async (detailType: string) => {
      const { events } = await server.admin<{ events: Array<{ detailType: string }> }>('events?after=0&limit=1000')
      return events.filter((event) => event.detailType === detailType)
    }
    const crlsInForce = async () =>
      decodePem(await readFile(files().crl, 'utf8'), 'X509 CRL').map((der) => parseCrl(der))
    const published = (authority: string) => join(server.directory, 'published', 'crl', authority, '0.crl')

    /** One request after the other, each on a connection of its own, of a device that is never revoked. */
    const talk = async (): Promise<number> => {
      let accepted = 0
      while (!traffic.signal.aborted) {
        const { status, body } = await ask(live)
        if (status === 200) accepted += 1
        else refusedWhileLive.push(`${status} ${body}`.slice(0, 200))
      }
      return accepted
    }

    beforeAll(async () => {
      workshop = await openWorkshop()
      // nginx runs before the first truststore is there, with one that lets nobody in.
      await writeFile(files().truststore, stranger.pem)
      await writeFile(files().crl, crlOf(stranger, []))
      nginx = await startNginx({
        ...files(),
        serverKey: gatewayIdentity.privateKeyPem,
        serverChain: gatewayIdentity.pem,
      })
      const { test, reload, pidFile } = nginx
      const edge = { name: 'edge', type: 'command', ...files(), test, reload, pidFile, check: null, timeout: '10s' }
      const crl = { validity: `${crlValidity / 1_000}s`, refresh: '2s', coalesce: '50ms' }
      server = await startServer({ settings: { profiles, crl, gateways: [edge] } })
      live = await enrolDevice(server, 'live-1', 'device')
      let inARow = 0
      // Workers of the former configuration answer a few connections more.
      await until('nginx lets the device in, every time', async () => {
        inARow = (await statusOf(live)) === 200 ? inARow + 1 : 0
        return inARow === 10 && (await gateway())?.state === 'current'
      })
      firstExpiry = Math.min(...(await crlsInForce()).map(({ nextUpdate }) => nextUpdate))
      trafficEnded = talk()
    })
    afterAll(async () => {
      traffic.abort()
      await trafficEnded
      await server?.stop()
      await nginx?.stop()
      await workshop?.close()
    })

    it('lets a device in by its certificate, and by the successor of it as well', async () => {
      const first = await enrolDevice(server, 'valid-1', 'device')
      expect(await ask(first)).toEqual({ status: 200, body: 'CN=valid-1\n' })
      const second = await renewDevice(server, first)
      expect(await statusOf(second)).toBe(200)
      expect(await statusOf(first)).toBe(200)
    })

    it('refuses no certificate at all, one of another authority, and one that only looks like ours', async () => {
      const foreign = makeLeaf({ issuer: stranger, subject: 'live-1', ...life })
      const namesake = makeAuthority({ name: 'Everleaf Issuing G1', ...life })
      const forged = makeLeaf({ issuer: namesake, subject: 'live-1', ...life })
      expect(await statusOf({})).toBe(400)
      expect(await statusOf({ key: foreign.privateKeyPem, cert: foreign.pem })).toBe(400)
      expect(await statusOf({ key: forged.privateKeyPem, cert: forged.pem + namesake.pem })).toBe(400)
    })

    it('refuses a device within five seconds of `everleaf certs revoke`, and no other', async () => {
      const [device, other] = [
        await enrolDevice(server, 'revoked-1', 'device'),
        await enrolDevice(server, 'spared-1', 'device'),
      ]
      expect([await statusOf(device), await statusOf(other)]).toEqual([200, 200])
      const { serialNumber } = new X509Certificate(device.cert)
      const revoked = await server.everleaf('certs', 'revoke', serialNumber, '--reason', 'keyCompromise', '--yes')
      expect(revoked).toMatchObject({ code: 0 })
      await until('nginx refuses the revoked device', async () => (await statusOf(device)) === 400, 5_000)
      expect(await statusOf(other)).toBe(200)
    })

    it('refuses a certificate from the moment that it has expired', async () => {
      const device = await enrolDevice(server, 'expired-1', 'brief')
      const expiry = new X509Certificate(device.cert).validToDate.getTime()
      expect([await statusOf(device), Date.now() < expiry]).toEqual([200, true])
      const refusedAt = await until('nginx refuses the expired certificate', async () => {
        const at = Date.now()
        return (await statusOf(device)) === 400 && at
      })
      expect(refusedAt).toBeGreaterThanOrEqual(expiry - 1_000)
    })

    it('never gets a CRL that is not ours, whoever put it where CRLs are published', async () => {
      const held = await readFile(files().crl, 'utf8')
      const { issuing } = server
      const namesake = makeAuthority({ name: 'Everleaf Issuing G1', ...life })
      const forged = decodePem(crlOf(namesake, [], 9_999_999), 'X509 CRL')[0] ?? new Uint8Array()
      const good = await readFile(published(issuing.id))
      for (const bytes of [forged, good.subarray(0, good.length - 20), new Uint8Array(0), Buffer.from('not a CRL')]) {
        await writeFile(published(issuing.id), bytes)
        await server.admin('gateways/edge/sync', { force: true })
        const inForce = await crlsInForce()
        expect(inForce).toHaveLength(2)
        for (const { der } of inForce) {
          const file = await workshop.write('in-force.crl', der)
          const options = ['-inform', 'DER', '-in', file, '-CAfile', server.files.chain, '-noout']
          const { err } = await workshop.attempt('openssl', 'crl', ...options)
          expect(err).toContain('verify OK')
        }
      }
      await until('a new CRL is in force', async () => (await readFile(files().crl, 'utf8')) !== held)
      expect((await gateway())?.state).toBe('current')
    })

    it('gets its files back when somebody breaks them, and the server tells of it', async () => {
      const truststore = await readFile(files().truststore, 'utf8')
      // A new CRL may be installed at this very moment, over what was broken: then once more.
      await until('the drift is told', async () => {
        await writeFile(files().crl, 'broken by hand\n')
        await writeFile(files().truststore, truststore.slice(0, -100))
        expect(await server.everleaf('gateways', 'sync', 'edge')).toMatchObject({ code: 0 })
        expect(await readFile(files().truststore, 'utf8')).toBe(truststore)
        expect(await crlsInForce()).toHaveLength(2)
        return (await eventsOf('Gateway Drifted')).length > 0
      })
    })

    it('has refused nothing live while one CRL after the other expired and was replaced', async () => {
      await until('the first CRL has expired', () => Date.now() > firstExpiry, crlValidity + 5_000)
      const seen = await until('eight CRLs were published', async () => {
        const { length } = await eventsOf('CRL Published')
        return length >= 8 && length
      })
      traffic.abort()
      const accepted = await trafficEnded
      expect(refusedWhileLive).toEqual([])
      expect(accepted).toBeGreaterThan(50)
      expect(seen).toBeGreaterThanOrEqual(8)
      expect((await gateway())?.state).toBe('current')
    })
  },
)
