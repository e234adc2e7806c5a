import { EverleafError } from '../../errors.ts'
import { decodeBase64 } from '../../protocol/base64.ts'

export interface Credentials {
  /** The device's id, or empty. */
  user: string
  /** The one-time token. */
  password: string
}

const refuse = (message: string): never => {
  throw new EverleafError('unauthenticated', message)
}

/** HTTP Basic (RFC 7617) as EST uses it. Whatever is not exactly that is nobody: `unauthenticated`, never naming what was sent. */
export const basicCredentials = (header: string | undefined): Credentials => {
  if (header === undefined) return refuse('enrolment needs the one-time token as the password of HTTP Basic')
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header)?.[1]
  if (encoded === undefined)
    return refuse('the Authorization header is not HTTP Basic: "Basic" and base64 of user:password')
  const text = decodeText(encoded)
  const colon = text.indexOf(':')
  if (colon < 0) return refuse('the HTTP Basic credentials have no colon between user and password')
  const user = text.slice(0, colon)
  const password = text.slice(colon + 1)
  if (password === '') return refuse('the password of HTTP Basic is empty; it is the one-time token')
  if (!/^[!-~]{1,256}$/.test(password) || !/^[ -~]{0,256}$/.test(user))
    return refuse('the HTTP Basic credentials hold characters, or a length, that no user name or token has')
  return { user, password }
}

const decodeText = (encoded: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64(encoded))
  } catch (cause) {
    throw new EverleafError('unauthenticated', 'the HTTP Basic credentials are not base64 of UTF-8 text', { cause })
  }
}
