import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createWebhookSink } from '../../src/events/webhook.ts'
import { eventRecord } from '../contract/event-sink.ts'
import { fakeClock } from '../fakes/clock.ts'
import { requireTool } from '../support/tools.ts'

test.skipIf(!requireTool('openssl'))('openssl computes the same signature from the header and the body', async () => {
  const seen: Array<{ header: string; body: string }> = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    seen.push({ header: String(request.headers['everleaf-signature']), body })
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const clock = fakeClock(Date.UTC(2027, 0, 1, 12) + 999)
  const sink = createWebhookSink({ name: 'ops', url, secret: 'shared', timeout: 5_000, clock })
  await sink.deliver([eventRecord(1, { detail: { CommonName: 'pümp-7' } })])
  sink.close()
  server.close()

  const { header, body } = seen[0] ?? { header: '', body: '' }
  const time = Date.UTC(2027, 0, 1, 12) / 1_000
  const output = execFileSync('openssl', ['dgst', '-sha256', '-hmac', 'shared'], {
    input: `${time}.${body}`,
  }).toString()
  expect(header).toBe(`t=${time},v1=${output.trim().split(' ').at(-1)}`)
})

test.skipIf(!requireTool('openssl'))('a receiver whose certificate nobody vouches for gets nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-webhook-'))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', '/CN=receiver', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  })
  let requests = 0
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (_, response) => {
    requests++
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const sink = createWebhookSink({ name: 'ops', url, secret: 'shared', timeout: 5_000, clock: fakeClock() })
  await expect(sink.deliver([eventRecord(1)])).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('self-signed certificate'),
  })
  expect(requests).toBe(0)
  sink.close()
  server.close()
  rmSync(folder, { recursive: true })
})
