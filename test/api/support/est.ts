import type { Agent } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import { decodeBase64, encodeBase64Lines } from '../../../src/protocol/base64.ts'
import type { GeneralNames } from '../../../src/protocol/general-names.ts'
import { decodeCertsOnly } from '../../../src/protocol/pkcs7.ts'
import { makeCsr, makeKey, type TestKey } from '../../support/certificates.ts'
import type { TestDevice } from '../../support/world.ts'
import { type ClientAnswer, type ClientIdentity, call } from './client.ts'
import { identityOf } from './house.ts'

export const basic = (token: string, user = ''): string => `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`

/** The names that the profile of the tests grants a device. */
export const sanOf = (device: string): GeneralNames => ({
  dns: [],
  uri: [`spiffe://everleaf.test/device/${device}`],
  ip: [],
})

export const csrBody = async (device: string, key: TestKey = makeKey(), more: { challengePassword?: string } = {}) =>
  encodeBase64Lines((await makeCsr({ key, subject: device, san: sanOf(device), ...more })).der)

export interface EstRequest {
  port: number
  body: string | Uint8Array
  token?: string
  identity?: ClientIdentity
  headers?: Record<string, string>
  label?: string
  tls?: ConnectionOptions
  agent?: Agent
}

const post = (operation: string, { label, token, headers, ...rest }: EstRequest): Promise<ClientAnswer> =>
  call({
    ...rest,
    method: 'POST',
    path: `/.well-known/est/${label === undefined ? '' : `${label}/`}${operation}`,
    headers: {
      'Content-Type': 'application/pkcs10',
      ...(token === undefined ? {} : { Authorization: basic(token) }),
      ...headers,
    },
  })

export const simpleenroll = (request: EstRequest): Promise<ClientAnswer> => post('simpleenroll', request)
export const simplereenroll = (request: EstRequest): Promise<ClientAnswer> => post('simplereenroll', request)

/** Renews with a new key, as a device does. */
export const reenrol = async (
  port: number,
  device: TestDevice,
  more: Partial<EstRequest> = {},
): Promise<ClientAnswer> =>
  simplereenroll({ port, identity: identityOf(device), body: await csrBody(device.id), ...more })

export const certificatesIn = (answer: ClientAnswer): Uint8Array[] => decodeCertsOnly(decodeBase64(answer.text))
