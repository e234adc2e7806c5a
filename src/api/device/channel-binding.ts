import { timingSafeEqual } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { EverleafError } from '../../errors.ts'
import { decodeBase64 } from '../../protocol/base64.ts'

type BoundSocket = Pick<TLSSocket, 'getProtocol' | 'isSessionReused' | 'getFinished' | 'getPeerFinished'>

/**
 * A challengePassword in an EST request is the base64 of tls-unique and ties the request to this connection (RFC 7030
 * §3.5). Left out it is not asked for; present and wrong, somebody replays another's request: `bad-input`.
 */
export const verifyChannelBinding = (challengePassword: string | null, socket: BoundSocket): void => {
  if (challengePassword === null) return
  if (socket.getProtocol() === 'TLSv1.3')
    throw new EverleafError(
      'bad-input',
      'the request holds a challengePassword, which in EST is the tls-unique channel binding (RFC 7030 §3.5), and TLS 1.3 has none; leave it out or connect with TLS 1.2',
    )
  const expected = tlsUnique(socket)
  const claimed = decodeClaim(challengePassword)
  if (expected === undefined || claimed?.length !== expected.length || !timingSafeEqual(claimed, expected))
    throw new EverleafError(
      'bad-input',
      'the challengePassword of the request is not the base64 of tls-unique of this TLS connection (RFC 7030 §3.5); leave it out if it is meant as a password',
    )
}

/** RFC 5929 §3.1: the first Finished of the handshake, the client's in a full one and the server's in a resumed one. */
const tlsUnique = (socket: BoundSocket): Buffer | undefined =>
  socket.isSessionReused() ? socket.getFinished() : socket.getPeerFinished()

const decodeClaim = (text: string): Uint8Array | null => {
  try {
    return decodeBase64(text)
  } catch {
    return null // as wrong as any other value
  }
}
