import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { parseCsr } from '../../src/pki/csr.ts'
import { decodeBase64, encodeBase64Lines } from '../../src/protocol/base64.ts'
import { parseCheckInRequest } from '../../src/protocol/check-in.ts'
import { estMediaTypes, estPath, everleafRoot } from '../../src/protocol/est.ts'
import { encodeCertsOnly } from '../../src/protocol/pkcs7.ts'
import { makeAuthority, makeKey, makeLeaf, type TestAuthority, type TestKey } from '../support/certificates.ts'
import {
  type Call,
  type DeviceServerOptions,
  type Fault,
  type Hint,
  type IssuedCertificate,
  type Operation,
  Refusal,
} from './device-server-words.ts'

export type { DeviceServerOptions, Fault, Operation } from './device-server-words.ts'

const year = 365 * 86_400_000
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A small EST server that keeps books: it renews by (predecessor, key) and supersedes a predecessor once its successor was seen. */
export class DeviceServer {
  readonly root: TestAuthority
  readonly issuing: TestAuthority
  url = ''
  certificates: IssuedCertificate[] = []
  calls: Call[] = []
  life: number
  /** What a check-in answers; by default two thirds of life. */
  hint: (certificate: IssuedCertificate) => Hint
  trustAnchors: { tag: string; pem: string }
  plain: boolean
  /** Certificates that `cacerts` gives; root and issuing authority if nothing else is set. */
  authorities: Uint8Array[]
  private readonly now: () => number
  private readonly label: string | null
  private readonly tokens = new Map<string, { device: string; issued: string | null }>()
  private readonly faults: { operation: Operation; fault: Fault }[] = []
  private readonly server
  private listenerKey: TestKey = makeKey()

  constructor(options: DeviceServerOptions = {}) {
    this.now = options.now ?? Date.now
    this.life = options.life ?? year / 4
    this.plain = options.plain ?? false
    this.label = options.label ?? null
    const notBefore = Date.now() - 86_400_000
    this.root = makeAuthority({ name: 'Fake Root', notBefore, notAfter: notBefore + 20 * year })
    this.issuing = makeAuthority({
      name: 'Fake Issuing',
      parent: this.root,
      notBefore,
      notAfter: notBefore + 10 * year,
    })
    this.hint = ({ notBefore: start, notAfter }) => ({
      now: false,
      at: start + ((notAfter - start) * 2) / 3,
      keys: 'rekey',
    })
    this.trustAnchors = { tag: 'tag-1', pem: this.root.pem }
    this.authorities = [this.root.der, this.issuing.der]
    this.server = createServer({
      ...this.listenerCertificate(this.issuing),
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: options.minimumTls ?? 'TLSv1.2',
    })
    this.server.on('request', (request, response) => void this.answer(request, response))
    this.server.on('tlsClientError', () => undefined)
  }

  get fingerprint(): string {
    return sha256(this.root.der)
  }

  /** A certificate for the listener itself. */
  private listenerCertificate(
    issuer: TestAuthority,
    options: { name?: string; notBefore?: number; notAfter?: number } = {},
  ) {
    const start = Date.now() - 3_600_000
    const leaf = makeLeaf({
      issuer,
      subject: 'listener',
      key: this.listenerKey,
      san: { dns: [options.name ?? 'localhost'], ip: options.name === undefined ? ['127.0.0.1'] : [] },
      notBefore: options.notBefore ?? start,
      notAfter: options.notAfter ?? start + 5 * year,
      eku: ['serverAuth'],
    })
    return { key: leaf.privateKeyPem, cert: leaf.pem + (issuer.parent === null ? '' : issuer.pem) }
  }

  /** Swaps the listener's certificate. */
  present(issuer: TestAuthority, options: { name?: string; notBefore?: number; notAfter?: number } = {}): void {
    this.server.setSecureContext(this.listenerCertificate(issuer, options))
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.url = `https://localhost:${(this.server.address() as AddressInfo).port}`
    return this
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  token(token: string, device: string): string {
    this.tokens.set(token, { device, issued: null })
    return token
  }

  /** The next `times` calls of this operation meet the fault. */
  fail(operation: Operation, fault: Fault, times = 1): void {
    for (let count = 0; count < times; count += 1) this.faults.push({ operation, fault })
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    this.faults.length = 0
  }

  revoke(fingerprint: string): void {
    const found = this.certificates.find((certificate) => certificate.fingerprint === fingerprint)
    if (found !== undefined) found.state = 'revoked'
  }

  /** The books as they are, to be put back with `restore`. */
  snapshot(): () => void {
    const certificates = this.certificates.map((certificate) => ({ ...certificate }))
    const tokens = [...this.tokens].map(([token, value]) => [token, { ...value }] as const)
    return () => {
      this.certificates = certificates.map((certificate) => ({ ...certificate }))
      this.tokens.clear()
      for (const [token, value] of tokens) this.tokens.set(token, { ...value })
      this.calls = []
      this.faults.length = 0
    }
  }

  private operationOf(path: string): Operation | null {
    const operations: [string, Operation][] = [
      [estPath('cacerts', this.label), 'cacerts'],
      [estPath('simpleenroll', this.label), 'simpleenroll'],
      [estPath('simplereenroll', this.label), 'simplereenroll'],
      ...(this.plain
        ? []
        : ([
            [`${everleafRoot}/check-in`, 'check-in'],
            [`${everleafRoot}/trust-anchors`, 'trust-anchors'],
          ] as [string, Operation][])),
    ]
    return operations.find(([known]) => known === path)?.[1] ?? null
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = request.socket as TLSSocket
    const operation = this.operationOf(request.url ?? '')
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    if (operation === null) return void response.writeHead(404).end()
    const fault = this.takeFault(operation)
    if (fault === 'drop') return void socket.destroy()
    if (fault === 'never') return
    if (typeof fault === 'object' && fault !== null) {
      const headers = fault.retryAfter === undefined ? {} : { 'Retry-After': fault.retryAfter }
      return void response.writeHead(fault.status, headers).end()
    }
    if (fault === 'slow') await delay(1_000)
    try {
      const body = this.perform(operation, { request, body: Buffer.concat(parts), fault })
      this.send(response, body, fault)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      response.writeHead(error.status, { 'Content-Type': 'application/problem+json' })
      response.end(JSON.stringify({ title: 'refused', detail: error.message }))
    }
  }

  private takeFault(operation: Operation): Fault | null {
    const index = this.faults.findIndex((candidate) => candidate.operation === operation)
    return index === -1 ? null : (this.faults.splice(index, 1)[0]?.fault ?? null)
  }

  private send(response: ServerResponse, { type, text }: { type: string; text: string }, fault: Fault | null): void {
    if (fault === 'drop answer') return void response.socket?.destroy()
    const full = fault === 'garbage' ? 'bm90IGEgY2VydGlmaWNhdGU=' : fault === 'huge' ? 'A'.repeat(400_000) : text
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': full.length })
    if (fault !== 'cut') return void response.end(full)
    response.write(full.slice(0, full.length / 2), () => response.socket?.destroy())
  }

  private perform(
    operation: Operation,
    { request, body, fault }: { request: IncomingMessage; body: Buffer; fault: Fault | null },
  ): { type: string; text: string } {
    const raw = (request.socket as TLSSocket).getPeerCertificate()?.raw
    const client =
      raw === undefined ? null : (this.certificates.find(({ fingerprint }) => fingerprint === sha256(raw)) ?? null)
    const { authorization = null } = request.headers
    const call: Call = { operation, certificate: client, authorization, error: null }
    this.calls.push(call)
    switch (operation) {
      case 'cacerts':
        return { type: estMediaTypes.caCertificates, text: encodeBase64Lines(encodeCertsOnly(this.authorities)) }
      case 'trust-anchors':
        return { type: 'application/x-pem-file', text: this.trustAnchors.pem }
      case 'check-in': {
        call.error = parseCheckInRequest(JSON.parse(body.toString())).error
        return { type: 'application/json', text: JSON.stringify(this.checkIn(client)) }
      }
      case 'simpleenroll':
        return this.pkcs7(this.enrol(authorization, body), fault)
      case 'simplereenroll':
        return this.pkcs7(this.renew(client, body), fault)
    }
  }

  private pkcs7(certificate: IssuedCertificate, fault: Fault | null): { type: string; text: string } {
    const der = fault === 'wrong certificate' ? this.sign(makeKey().spki, certificate.device) : certificate.der
    return { type: estMediaTypes.enrolled, text: encodeBase64Lines(encodeCertsOnly([der])) }
  }

  private known(client: IssuedCertificate | null): IssuedCertificate {
    if (client === null) throw new Refusal(401, 'no certificate, or none of ours')
    if (client.state === 'revoked') throw new Refusal(403, 'revoked')
    return client
  }

  /** First use confirms a certificate and supersedes the one before it. */
  private confirm(client: IssuedCertificate): void {
    if (client.state === 'superseded') throw new Refusal(403, 'superseded')
    client.state = 'confirmed'
    const predecessor = this.certificates.find(({ fingerprint }) => fingerprint === client.predecessor)
    if (predecessor?.state === 'confirmed') predecessor.state = 'superseded'
  }

  private checkIn(client: IssuedCertificate | null): object {
    const known = this.known(client)
    if (this.now() > known.notAfter) throw new Refusal(403, 'expired')
    this.confirm(known)
    const { now, at, keys } = this.hint(known)
    return {
      time: new Date(this.now()).toISOString(),
      renew: { now, at: new Date(at).toISOString(), keys },
      trustAnchors: this.trustAnchors.tag,
      crl: null,
    }
  }

  private enrol(authorization: string | null, body: Buffer): IssuedCertificate {
    const [user = '', ...rest] = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64')
      .toString()
      .split(':')
    const entry = this.tokens.get(rest.join(':'))
    if (entry === undefined || (user !== '' && user !== entry.device)) throw new Refusal(401, 'token unknown')
    const csr = parseCsr(decodeBase64(body.toString()))
    const before = this.certificates.find(({ fingerprint }) => fingerprint === entry.issued)
    if (before !== undefined && before.spkiSha256 !== csr.spkiSha256)
      throw new Refusal(401, 'token used for another key')
    if (before !== undefined) return before
    const issued = this.issue(csr.spki, entry.device, null)
    entry.issued = issued.fingerprint
    return issued
  }

  private renew(client: IssuedCertificate | null, body: Buffer): IssuedCertificate {
    const known = this.known(client)
    const csr = parseCsr(decodeBase64(body.toString()))
    if (csr.subjectText !== `CN=${known.device}`) throw new Refusal(400, `subject is ${csr.subjectText}`)
    if (csr.san?.names.uri.join() !== `urn:device:${known.device}`) throw new Refusal(400, 'the SAN is another one')
    const before = this.certificates.find(
      ({ predecessor, spkiSha256 }) => predecessor === known.fingerprint && spkiSha256 === csr.spkiSha256,
    )
    if (before !== undefined) return before
    this.confirm(known)
    return this.issue(csr.spki, known.device, known.fingerprint)
  }

  private sign(spki: Uint8Array, device: string): Uint8Array {
    const notBefore = Math.floor(this.now() / 1000) * 1000
    return makeLeaf({
      issuer: this.issuing,
      subject: device,
      san: { uri: [`urn:device:${device}`] },
      key: { ...this.listenerKey, spki },
      notBefore,
      notAfter: notBefore + this.life,
    }).der
  }

  private issue(spki: Uint8Array, device: string, predecessor: string | null): IssuedCertificate {
    const der = this.sign(spki, device)
    const notBefore = Math.floor(this.now() / 1000) * 1000
    const issued: IssuedCertificate = {
      fingerprint: sha256(der),
      device,
      der,
      spkiSha256: sha256(spki),
      predecessor,
      state: 'issued',
      notBefore,
      notAfter: notBefore + this.life,
    }
    this.certificates.push(issued)
    return issued
  }
}
