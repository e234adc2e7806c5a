/** TLS connections whose server was verified before a byte of a request is written. */
import { isIP } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  type DetailedPeerCertificate,
  type TLSSocket,
} from 'node:tls'
import { type AgentCertificate, parseCertificate } from './certificate.ts'
import { newestStart, verifyChain } from './chain.ts'
import { AgentError, reasonOf } from './error.ts'

export interface SessionOptions {
  /** https://host[:port] */
  server: string
  /** Roots that the server must chain to; 'none' only for what is checked by its fingerprint afterwards. */
  trust: readonly AgentCertificate[] | 'none'
  /** Set when the system's clock is known to be wrong: the time by which the server's certificate is judged. */
  timeOverride: number | null
  pair: { keyPem: string; chainPem: string } | null
  /** Milliseconds for one request, connecting included. */
  timeout: number
}

/** Node's 250 ms per address is less than one round trip on a satellite or a slow mobile link. */
const perAddressMs = 5_000

const refusal = /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)/
const distrust =
  /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|ERR_SSL_CERTIFICATE_VERIFY|ERROR_IN_CERT)/

/** What a failed connection or request means. */
export const translate = (error: unknown, server: string): AgentError => {
  if (error instanceof AgentError) return error
  const parts = error instanceof AggregateError ? error.errors.map(reasonOf).join('; ') : ''
  const code = (error as { code?: unknown } | null)?.code
  const text = typeof code === 'string' ? code : ''
  const message = `${server}: ${reasonOf(error) || parts || text}`
  if (refusal.test(text))
    return new AgentError('refused', `${message} (the server refused our certificate)`, { cause: error })
  if (distrust.test(text))
    return new AgentError('untrusted', `${message} (the server's certificate is not trusted)`, { cause: error })
  return new AgentError('network', message, { cause: error })
}

const peerChain = (socket: TLSSocket): AgentCertificate[] => {
  const chain: AgentCertificate[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next?.raw !== undefined && chain.length < 8) {
    const certificate = parseCertificate(next.raw, 'certificate of the server')
    if (chain.at(-1)?.fingerprint === certificate.fingerprint) break
    chain.push(certificate)
    next = next.issuerCertificate
  }
  return chain
}

/** Our own verification, for a machine whose clock is wrong: OpenSSL knows no other time than the system's. */
const verifyByTime = (
  chain: readonly AgentCertificate[],
  socket: TLSSocket,
  options: SessionOptions & { host: string },
): void => {
  const [leaf, ...others] = chain
  if (leaf === undefined || options.trust === 'none')
    throw new AgentError('untrusted', `${options.server}: no certificate`)
  const at = newestStart(chain, options.timeOverride ?? 0)
  verifyChain({ leaf, others, anchors: options.trust, at, purpose: 'serverAuth' })
  const mismatch = checkServerIdentity(options.host, socket.getPeerCertificate(true))
  if (mismatch !== undefined) throw mismatch
}

interface Connected {
  socket: TLSSocket
  chain: AgentCertificate[]
}

const connectOnce = (options: SessionOptions, signal: AbortSignal): Promise<Connected> => {
  const url = new URL(options.server)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const bySystem = options.trust !== 'none' && options.timeOverride === null
  return new Promise((resolve, reject) => {
    const connection: ConnectionOptions & { autoSelectFamilyAttemptTimeout: number } = {
      host,
      port: Number(url.port || 443),
      servername: isIP(host) === 0 ? host : undefined,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      autoSelectFamilyAttemptTimeout: perAddressMs,
      rejectUnauthorized: bySystem,
      ca: options.trust === 'none' ? [] : options.trust.map((root) => root.x509.toString()),
      key: options.pair?.keyPem,
      cert: options.pair?.chainPem,
    }
    const socket = connect(connection)
    const fail = (error: unknown) => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      reject(translate(error, options.server))
    }
    const onAbort = () =>
      fail(new AgentError('network', `${options.server}: no connection within ${options.timeout} ms`))
    signal.addEventListener('abort', onAbort)
    socket.once('error', fail)
    socket.once('secureConnect', () => {
      try {
        const chain = peerChain(socket)
        if (options.trust !== 'none' && !bySystem) verifyByTime(chain, socket, { ...options, host })
        signal.removeEventListener('abort', onAbort)
        socket.off('error', fail)
        resolve({ socket, chain })
      } catch (error) {
        fail(error)
      }
    })
  })
}

const isTooEarly = (error: unknown): boolean =>
  error instanceof AgentError && (error.cause as { code?: unknown } | undefined)?.code === 'CERT_NOT_YET_VALID'

/** Resolves when the server was verified, or throws AgentError `network`, `untrusted` or `refused`. */
export const connectVerified = async (options: SessionOptions, signal: AbortSignal): Promise<Connected> => {
  try {
    return await connectOnce(options, signal)
  } catch (error) {
    if (!isTooEarly(error)) throw error
    // The clock stood still while the device was off. By the latest start in the chain, which is after our clock, nothing that ended passes.
    return connectOnce({ ...options, timeOverride: 0 }, signal)
  }
}
