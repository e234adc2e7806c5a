import type { TLSSocket } from 'node:tls'
import type { Ports } from '../../lifecycle/ports.ts'
import type { Answer } from '../http/answer.ts'
import type { Exchange } from '../http/listener.ts'
import type { Gate } from './gate.ts'

/** One request of a device, routed. */
export interface DeviceCall extends Exchange {
  ports: Ports
  /** Through it goes work that signs or writes, after the body was read: a slow sender holds no place. */
  gate: Gate
  /** EST label of the path (RFC 7030 §3.2.2), which names a profile; null: none. */
  label: string | null
  /** Last part of the path where the route has one, e.g. a certificate's id. */
  parameter: string
}

export interface DeviceRoute {
  method: 'GET' | 'POST'
  handle(call: DeviceCall): Promise<Answer>
}

export const tlsSocketOf = ({ request }: Pick<DeviceCall, 'request'>): TLSSocket => request.socket as TLSSocket

/** The client's certificate as presented in the handshake, of a resumed session too; null: none. */
export const presentedCertificate = (call: Pick<DeviceCall, 'request'>): Uint8Array | null =>
  tlsSocketOf(call).getPeerX509Certificate()?.raw ?? null
