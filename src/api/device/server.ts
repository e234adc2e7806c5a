import { constants } from 'node:crypto'
import { createServer } from 'node:https'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { EverleafError, messageOf } from '../../errors.ts'
import type { Ports } from '../../lifecycle/ports.ts'
import type { ListenerSource } from '../../listener/listener.ts'
import { encodePem } from '../../protocol/pem.ts'
import { type HttpLimits, httpLimits } from '../http/limits.ts'
import { type HttpListener, httpListener } from '../http/listener.ts'
import type { Log } from '../http/log.ts'
import { createGate } from './gate.ts'
import { respond } from './respond.ts'

export interface DeviceLimits extends HttpLimits {
  /** Requests that sign or write at once; more are told to come back. */
  working: number
}

export interface DeviceServerOptions {
  ports: Ports
  /** Key and chain of the listener. Nothing yet: every handshake fails until there is. */
  identity: ListenerSource
  /** DER of the CAs that the CertificateRequest names, so that clients with several certificates choose ours. */
  anchors(): readonly Uint8Array[]
  log: Log
  limits?: Partial<DeviceLimits>
}

/**
 * EST (RFC 7030, RFC 8951) and Everleaf's own calls over TLS. The handshake only proves that the client holds the key of
 * the certificate it shows; who that is and what it may do is decided for every request.
 *
 * On `node:https` and not on the framework of the admin listener: EST clients compare the case of header names, need
 * head and body in one write, and the strictness about requests is ours to set.
 */
export const createDeviceServer = ({ ports, identity, anchors, log, limits }: DeviceServerOptions): HttpListener => {
  const bounds: DeviceLimits = { ...httpLimits, working: 256, ...limits }
  const server = createServer({
    ...checkedContext(identity, anchors),
    ...tlsPolicy,
    handshakeTimeout: bounds.handshakeTimeout,
    maxHeaderSize: bounds.headBytes,
    connectionsCheckingInterval: bounds.checkInterval,
  })
  const stopWatching = identity.onChange(() => {
    try {
      server.setSecureContext({ ...secureContext(identity, anchors), ...tlsPolicy })
      log.info({}, 'the device listener answers with its new certificate')
    } catch (error) {
      log.error(
        { error: messageOf(error) },
        'the new certificate of the device listener cannot be used; the former stays',
      )
    }
  })
  const responder = { ports, log, gate: createGate(bounds.working) }
  const answer = (exchange: Parameters<typeof respond>[0]) => respond(exchange, responder)
  const listener = httpListener({ name: 'device', server, answer, clock: ports.clock, log, limits: bounds })
  return {
    listen: listener.listen,
    close(deadline) {
      stopWatching()
      return listener.close(deadline)
    },
  }
}

const tlsPolicy = {
  minVersion: 'TLSv1.2',
  requestCert: true,
  // An expired certificate may still renew, within its grace: the inventory judges, not the handshake.
  rejectUnauthorized: false,
  // A renegotiation could change the client's certificate within a request.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
} as const

/** Names what is wrong before the server starts: OpenSSL alone says only "key values mismatch". */
const checkedContext: typeof secureContext = (identity, anchors) => {
  const options = secureContext(identity, anchors)
  try {
    createSecureContext(options)
    return options
  } catch (cause) {
    const reason = messageOf(cause)
    throw new EverleafError('configuration', `key and certificate of the device listener cannot be used: ${reason}`, {
      cause,
    })
  }
}

const secureContext = (
  identity: ListenerSource,
  anchors: DeviceServerOptions['anchors'],
): Pick<SecureContextOptions, 'key' | 'cert' | 'ca'> => {
  const current = identity.read()
  const ca = anchors().map((der) => encodePem('CERTIFICATE', der))
  return current === null ? { ca } : { key: current.key, cert: current.chain, ca }
}
