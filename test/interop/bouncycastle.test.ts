import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Server, startServer } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

const tools = [requireTool('bouncycastle'), requireTool('openssl')]
const jars = ['bcpkix', 'bcprov', 'bcutil'].map((name) => `/usr/share/java/${name}.jar`)
const source = new URL('EstClient.java', import.meta.url).pathname

describe.skipIf(tools.includes(false))('BouncyCastle as the EST client of a running server', () => {
  let server: Server
  let workshop: Workshop
  beforeAll(async () => {
    server = await startServer()
    workshop = await openWorkshop()
    await workshop.run('javac', '-cp', jars.join(':'), '-d', workshop.path('classes'), source)
  })
  afterAll(async () => {
    await server?.stop()
    await workshop?.close()
  })

  it('reads cacerts and csrattrs, enrols with HTTP Basic, renews with its certificate, and understands every refusal', async () => {
    const device = 'castle-1'
    const token = await server.token(device)
    const classes = [workshop.path('classes'), ...jars].join(':')
    const host = `localhost:${server.ports.device}`
    const more = [host, server.files.root, device, token, workshop.path('.')]
    const told = await workshop.run('java', '-cp', classes, 'EstClient', ...more)
    expect(told.trim().split('\n')).toEqual([
      'cacerts 2',
      expect.stringMatching(/^csrattrs \d+$/),
      'refused 401',
      `simpleenroll CN=${device}`,
      `simplereenroll CN=${device}`,
      'unauthenticated 401',
    ])
    for (const name of ['first', 'second']) {
      const pem = workshop.path(`${name}.pem`)
      await workshop.openssl('x509', '-inform', 'DER', '-in', workshop.path(`${name}.der`), '-out', pem)
      const trust = ['-CAfile', server.files.root, '-untrusted', server.files.issuing]
      expect(await workshop.openssl('verify', '-x509_strict', ...trust, pem)).toContain(': OK')
    }
    const rows = await server.certificates(device)
    expect(rows.map(({ state }) => state)).toEqual(['confirmed', 'delivered'])
  })
})
