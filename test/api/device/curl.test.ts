import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requireTool } from '../../support/tools.ts'
import { type House, makeHouse } from '../support/house.ts'

const run = promisify(execFile)

/** The whole life of a certificate with nothing but curl and OpenSSL, as a person would do it by hand. */
describe.skipIf(!requireTool('curl') || !requireTool('openssl'))('curl as the EST client', () => {
  let house: House
  let folder: string
  const file = (name: string) => join(folder, name)
  const openssl = async (...options: string[]) => (await run('openssl', options)).stdout
  beforeAll(async () => {
    house = await makeHouse()
    folder = await mkdtemp(join(tmpdir(), 'everleaf-curl-'))
    await writeFile(file('root.pem'), house.rootPem)
  })
  afterAll(async () => {
    await house.stop()
    await rm(folder, { recursive: true })
  })

  /** Fails unless the answer is 2xx and the server's certificate is from our root. */
  const est = async (operation: string, ...options: string[]) => {
    const url = `https://localhost:${house.port}/.well-known/est/${operation}`
    const common = [
      '--silent',
      '--show-error',
      '--fail',
      '--cacert',
      file('root.pem'),
      '--output',
      file(`${operation}.p7`),
    ]
    await run('curl', [...common, ...options, url])
    const base64 = await readFile(file(`${operation}.p7`), 'utf8')
    await writeFile(file(`${operation}.der`), Buffer.from(base64, 'base64'))
    return file(`${operation}.der`)
  }
  const request = async (name: string) => {
    const subject = ['-subj', '/CN=curl-1', '-addext', 'subjectAltName=URI:spiffe://everleaf.test/device/curl-1']
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file(`${name}.key`)]
    await openssl('req', '-new', ...key, ...subject, '-outform', 'DER', '-out', file('request.der'))
    await openssl('base64', '-in', file('request.der'), '-out', file('request.b64'))
    return ['--header', 'Content-Type: application/pkcs10', '--data-binary', `@${file('request.b64')}`]
  }
  const certificateOf = async (pkcs7: string, name: string) => {
    await openssl('pkcs7', '-inform', 'DER', '-in', pkcs7, '-print_certs', '-out', file(`${name}.pem`))
    return file(`${name}.pem`)
  }

  it('gets the CA certificates, enrols with a token, renews with the certificate, over TLS 1.2 and 1.3, and OpenSSL verifies each', async () => {
    const chain = await certificateOf(await est('cacerts'), 'chain')
    expect((await readFile(chain, 'utf8')).match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    const token = await house.token('curl-1')
    await est('simpleenroll', '--user', `curl-1:${token}`, ...(await request('first')))
    const first = await certificateOf(file('simpleenroll.der'), 'first')
    const verify = async (certificate: string) =>
      openssl('verify', '-purpose', 'sslclient', '-CAfile', file('root.pem'), '-untrusted', chain, certificate)
    expect(await verify(first)).toContain(': OK')
    for (const [version, name, former] of [
      ['1.2', 'second', 'first'],
      ['1.3', 'third', 'second'],
    ] as const) {
      const identity = [
        '--cert',
        file(`${former}.pem`),
        '--key',
        file(`${former}.key`),
        `--tlsv${version}`,
        '--tls-max',
        version,
      ]
      await est('simplereenroll', ...identity, ...(await request(name)))
      expect(await verify(await certificateOf(file('simplereenroll.der'), name))).toContain(': OK')
    }
    const rows = await house.world.ports.store.certificates.list({ device: 'curl-1', limit: 10 })
    expect(rows.map(({ state }) => state).toSorted()).toEqual(['confirmed', 'delivered', 'superseded'])
  })

  it('shows why it is refused', async () => {
    const url = `https://localhost:${house.port}/.well-known/est/simpleenroll`
    const options = [
      '--silent',
      '--include',
      '--cacert',
      file('root.pem'),
      '--user',
      'curl-2:wrong',
      ...(await request('refused')),
    ]
    const { stdout } = await run('curl', [...options, url])
    expect(stdout).toMatch(/^HTTP\/1\.1 401 [\s\S]*Everleaf-Problem: this enrolment token is not known/)
  })
})
