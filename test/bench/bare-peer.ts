import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { answerEach } from './children.ts'

export interface BareOrder {
  /** PEM of key and chain. */
  identity: string
  ca: readonly string[]
}

/** As long as a real answer. */
const body = 'M'.repeat(1_100)

/** What mutual TLS in Node costs by itself: the same identity and policy, a constant for every request. */
answerEach(async ({ identity, ca }: BareOrder) => {
  const tls = { key: identity, cert: identity, ca: [...ca], requestCert: true, rejectUnauthorized: false }
  const server = createServer(tls, (request, response) => {
    request.resume()
    request.on('end', () => {
      response.writeHead(200, { 'Content-Type': 'application/pkcs7-mime', 'Content-Length': body.length })
      response.end(body)
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { port: (server.address() as AddressInfo).port }
})
