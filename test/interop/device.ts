import { decodeBase64, encodeBase64 } from '../../src/protocol/base64.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { decodeCertsOnly } from '../../src/protocol/pkcs7.ts'
import { makeCsr, makeKey, type TestKey } from '../support/certificates.ts'
import type { Server } from '../support/server.ts'
import { exchange, openTls, readStrictly } from './strict-client.ts'

/** What a device holds, in PEM. */
export interface HeldIdentity {
  device: string
  key: string
  cert: string
}

const pemOf = (key: TestKey): string => key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const sanOf = (device: string) => ({ uri: [`spiffe://everleaf.local/device/${device}`] })

interface Order {
  operation: 'simpleenroll' | 'simplereenroll'
  device: string
  authorization?: string
  held?: HeldIdentity
}

const obtain = async (
  server: Server,
  { operation, device, authorization = '', held }: Order,
): Promise<HeldIdentity> => {
  const key = makeKey()
  const body = encodeBase64((await makeCsr({ subject: device, san: sanOf(device), key })).der)
  const connection = await openTls(server.ports.device, { ca: server.pem.root, key: held?.key, cert: held?.cert })
  const head = `Host: localhost\r\nConnection: close\r\nContent-Type: application/pkcs10\r\n${authorization}`
  const length = `Content-Length: ${body.length}\r\n`
  const request = `POST /.well-known/est/${operation} HTTP/1.1\r\n${head}${length}\r\n${body}`
  const answer = readStrictly(await exchange(connection, request))
  if (answer.status !== 200) throw new Error(`${operation} of ${device}: ${answer.status} ${answer.body}`)
  const [der = new Uint8Array()] = decodeCertsOnly(decodeBase64(answer.body))
  return { device, key: pemOf(key), cert: encodePem('CERTIFICATE', der) }
}

/** Enrols a device with a new token. */
export const enrolDevice = async (server: Server, device: string, profile?: string): Promise<HeldIdentity> => {
  const credentials = Buffer.from(`${device}:${await server.token(device, profile)}`).toString('base64')
  return obtain(server, { operation: 'simpleenroll', device, authorization: `Authorization: Basic ${credentials}\r\n` })
}

/** Renews with a new key. */
export const renewDevice = (server: Server, held: HeldIdentity): Promise<HeldIdentity> =>
  obtain(server, { operation: 'simplereenroll', device: held.device, held })
