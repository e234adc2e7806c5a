import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock/system.ts'
import { type CommandGatewayOptions, createCommandGateway } from '../../src/gateway/command.ts'
import type { GatewayArtefacts } from '../../src/gateway/gateway.ts'
import { sha256Hex } from '../../src/pki/digest.ts'
import { gatewayContract } from '../contract/gateway.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { type Nginx, requestOnce, startNginx } from '../support/nginx.ts'
import { requireTool } from '../support/tools.ts'
import { crlOf } from './crl-of.ts'

const hour = 3_600_000
const life = { notBefore: Date.now() - hour, notAfter: Date.now() + hour }
const root = makeAuthority({ name: 'Test Root G1', ...life })
const issuing = makeAuthority({ name: 'Test Issuing G1', parent: root, ...life })
const stranger = makeAuthority({ name: 'Stranger Root', ...life })
const server = makeLeaf({
  issuer: issuing,
  subject: 'localhost',
  san: { dns: ['localhost'] },
  eku: ['serverAuth'],
  ...life,
})
const devices = [1, 2].map((number) => makeLeaf({ issuer: issuing, subject: `device-${number}`, ...life }))
const foreign = makeLeaf({ issuer: stranger, subject: 'device-1', ...life })

const encode = (text: string) => new TextEncoder().encode(text)
const artefactsOf = (truststore: string, crl: string, version: number): GatewayArtefacts => ({
  truststore: { version, pem: truststore, sha256: sha256Hex(encode(truststore)) },
  crl: { pem: crl, sha256: sha256Hex(encode(crl)) },
})
const truststore = `# root\n${root.pem}# issuing\n${issuing.pem}`
const crls = (revoked: typeof devices, number: number) => crlOf(issuing, revoked, number) + crlOf(root, [], number)

/** Number 1 revokes the second device, number 2 the first, number 0 none. */
const artefacts = (number: number): GatewayArtefacts =>
  artefactsOf(
    truststore,
    crls(
      devices.filter((_, index) => index === 2 - number),
      number + 1,
    ),
    number,
  )

const known = [0, 1, 2].map(artefacts)
const brokenTruststore = artefactsOf(truststore.slice(0, -200), known[1]?.crl.pem ?? '', 3)

let directory: string
let nginx: Nginx
const paths = () => ({ truststore: join(directory, 'truststore.pem'), crl: join(directory, 'crl.pem') })

const startWith = async (first: GatewayArtefacts) => {
  directory = await mkdtemp(join(tmpdir(), 'everleaf-gateway-'))
  await writeFile(paths().truststore, first.truststore.pem)
  await writeFile(paths().crl, first.crl.pem)
  nginx = await startNginx({ ...paths(), serverKey: server.privateKeyPem, serverChain: server.pem + issuing.pem })
}
const stop = async () => {
  await nginx.stop()
  await rm(directory, { recursive: true, force: true })
}

const gatewayWith = (options: Partial<CommandGatewayOptions> = {}) =>
  createCommandGateway({
    name: 'edge',
    ...paths(),
    test: nginx.test,
    reload: nginx.reload,
    pidFile: nginx.pidFile,
    check: null,
    timeout: 10_000,
    clock: systemClock,
    ...options,
  })

const ask = ({ privateKeyPem, pem }: { privateKeyPem: string; pem: string }) =>
  requestOnce(nginx.port, { key: privateKeyPem, cert: pem + issuing.pem, ca: root.pem })

const statuses = async () => (await Promise.all([...devices, foreign].map(ask))).map(({ status }) => status)

const enforced = async (): Promise<number | null> => {
  const [first, second, third] = await statuses()
  expect(third).toBe(400)
  return first === 200 && second === 200 ? 0 : first === 200 ? 1 : second === 200 ? 2 : null
}

describe.skipIf(!requireTool('nginx'))('nginx behind a command gateway', () => {
  gatewayContract('nginx', async () => {
    await startWith(artefacts(0))
    return {
      gateway: gatewayWith(),
      artefacts: (number) => known[number] ?? artefacts(number),
      unusable: () => brokenTruststore,
      enforced,
      close: stop,
    }
  })

  describe('in particular', () => {
    beforeEach(() => startWith(known[0] ?? artefacts(0)))
    afterEach(stop)

    it('lets a device in by its certificate, and refuses it once its revocation is applied', async () => {
      const [device] = devices
      if (device === undefined) throw new Error('no device')
      expect(await ask(device)).toMatchObject({ status: 200, body: 'CN=device-1\n' })
      await gatewayWith().apply(artefacts(2))
      expect((await ask(device)).status).toBe(400)
      expect(await statuses()).toEqual([400, 200, 400])
    })

    it('rolls a broken truststore back that only the reload itself finds out about', async () => {
      const gateway = gatewayWith({ test: null, timeout: 1_500 })
      await gateway.apply(artefacts(1))
      await expect(gateway.apply(brokenTruststore)).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(/edge: .*exited with 1: .*truststore\.pem.*the previous ones are in force/s),
      })
      expect(await readFile(paths().truststore, 'utf8')).toBe(truststore)
      expect(await enforced()).toBe(1)
    })

    it('rolls a broken truststore back after a reload that exits 0 all the same', async () => {
      const gateway = gatewayWith({
        test: null,
        reload: ['sh', '-c', `kill -HUP $(cat ${nginx.pidFile})`],
        timeout: 1_000,
      })
      await expect(gateway.apply(brokenTruststore)).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(/did not take: no new worker.*the previous ones are in force/),
      })
      expect(await nginx.errors()).toMatch(/emerg.*truststore\.pem/)
      expect(await enforced()).toBe(0)
    })

    it('names what nginx said of a broken truststore', async () => {
      await expect(gatewayWith().apply(brokenTruststore)).rejects.toMatchObject({
        message: expect.stringMatching(/exited with 1: .*truststore\.pem/s),
      })
      expect(await enforced()).toBe(0)
    })

    it('finds out that a reload which exits 0 did not take, and puts the files back', async () => {
      const gateway = gatewayWith({ reload: ['true'], timeout: 300 })
      await expect(gateway.apply(artefacts(2))).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(/did not take: no new worker under process \d+ within 300 ms/),
      })
      expect(await readFile(paths().crl, 'utf8')).toBe(known[0]?.crl.pem)
      expect(await enforced()).toBe(0)
      expect((await gateway.observe()).crlSha256).toBe(known[0]?.crl.sha256)
    })

    it('takes a CRL that leaves one CA of the chain out for what it is when the check asks for a served request', async () => {
      const [, device] = devices
      const key = join(directory, 'probe-key.pem')
      const cert = join(directory, 'probe.pem')
      await writeFile(key, device?.privateKeyPem ?? '')
      await writeFile(cert, `${device?.pem}${issuing.pem}`)
      await writeFile(join(directory, 'root.pem'), root.pem)
      const url = `https://localhost:${nginx.port}/`
      const resolve = ['--resolve', `localhost:${nginx.port}:127.0.0.1`]
      const check = [
        'curl',
        '-fsS',
        ...resolve,
        '--cacert',
        join(directory, 'root.pem'),
        '--cert',
        cert,
        '--key',
        key,
        url,
      ]
      const gateway = gatewayWith({ check, timeout: 1_500 })
      await gateway.apply(artefacts(2))
      const onlyIssuing = artefactsOf(truststore, crlOf(issuing, [], 9), 4)
      await expect(gateway.apply(onlyIssuing)).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(/curl .* exited with 22.*the previous ones are in force/s),
      })
      expect(await enforced()).toBe(2)
    })

    it('says that nginx is not running, and applies when it is back', async () => {
      const gateway = gatewayWith({ timeout: 500, pidFile: join(directory, 'no.pid') })
      await expect(gateway.apply(artefacts(1))).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/no process number in .*no\.pid/),
      })
      await gatewayWith().apply(artefacts(1))
      expect(await enforced()).toBe(1)
    })

    it('leaves nothing behind but the previous pair, for people to look at', async () => {
      await gatewayWith().apply(artefacts(1))
      expect((await readdir(directory)).sort()).toEqual([
        'crl.pem',
        'crl.pem.previous',
        'truststore.pem',
        'truststore.pem.previous',
      ])
    })
  })
})
