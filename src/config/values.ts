import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { suggestion } from './nearest.ts'
import type { SecretSource } from './shape.ts'

/** Builds one kind of value: `read` returns it or throws `RangeError` with what would be right. */
const value = <Value>(read: (input: unknown) => Value) =>
  z.unknown().transform((input, context): Value => {
    try {
      return read(input)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      context.issues.push({ code: 'custom', message: error.message, input })
      return z.NEVER
    }
  })

/** Puts the list of valid keys into an unknown key's issue, from which the report makes its suggestion. */
export const validKeys = (keys: readonly string[]) => (issue: { code?: string }) =>
  issue.code === 'unrecognized_keys' ? keys.join(' ') : undefined

/** A map with known keys. Left empty it is `{}`. */
export const section = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.preprocess((input) => input ?? {}, z.strictObject(shape, { error: validKeys(Object.keys(shape)) }))

const text = (input: unknown, what: string): string => {
  if (typeof input !== 'string' || input.trim() === '') throw new RangeError(`should be ${what}`)
  if (input.length > 4096) throw new RangeError(`is longer than 4096 characters; should be ${what}`)
  if (/\p{Cc}/u.test(input)) throw new RangeError('holds a control character')
  return input
}

export const shortText = (longest: number) =>
  value((input) => {
    const given = text(input, 'text')
    if (given.length > longest) throw new RangeError(`is longer than ${longest} characters`)
    return given
  })

/** A file or directory; a relative one counts from `base`. */
export const path = (base: string) => value((input) => resolve(base, text(input, 'a path')))

export const port = value((input) => {
  if (Number.isInteger(input) && Number(input) >= 0 && Number(input) <= 65_535) return Number(input)
  throw new RangeError('should be a port: 0 (any free one) to 65535')
})

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const dnsPattern = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`)

/** A host name in lower case or an IP address; null when it is neither. */
export function hostName(input: string): string | null {
  const name = input.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return isIP(name) || dnsPattern.test(name) ? name : null
}

export const host = value((input) => {
  const name = hostName(text(input, 'a host name or an IP address'))
  if (name === null) throw new RangeError('should be a host name or an IP address, without port')
  return name
})

/** A URL without user, query and fragment; without path too unless `withPath`. A trailing slash is dropped. */
export const url = (schemes: readonly string[], example: string, withPath: boolean) =>
  value((input) => {
    const given = text(input, `a URL, e.g. ${example}`)
    if (!URL.canParse(given)) throw new RangeError(`should be a URL, e.g. ${example}`)
    const parsed = new URL(given)
    const scheme = parsed.protocol.slice(0, -1)
    if (!schemes.includes(scheme))
      throw new RangeError(`is ${scheme}://; should be ${schemes.join(':// or ')}://, e.g. ${example}`)
    if (parsed.username !== '' || parsed.password !== '') throw new RangeError('must hold no user and no password')
    if (parsed.hash !== '' || (parsed.search !== '' && !withPath))
      throw new RangeError('must have no query, no fragment')
    if (!withPath && parsed.pathname !== '/') throw new RangeError(`must have no path; should be like ${example}`)
    return given.replace(/\/+$/, '')
  })

const templateVariable = /^(?:device|label\.[A-Za-z0-9_.-]{1,64})$/

/** Text with the variables {device} and {label.<name>}; `fits` says whether it is right once they are filled in. */
export const template = (what: string, fits: (filled: string) => boolean) =>
  value((input) => {
    const given = text(input, what)
    const filled = given.replace(/\{([^{}]*)\}/g, (_, name: string) => {
      if (!templateVariable.test(name))
        throw new RangeError(`unknown variable {${name}}; known are {device} and {label.<name>}`)
      return 'x'
    })
    if (/[{}]/.test(filled)) throw new RangeError('has an unpaired brace; variables are {device} and {label.<name>}')
    if (!fits(filled)) throw new RangeError(`should be ${what}`)
    return given
  })

export const dnsTemplate = template('a host name, e.g. {device}.example.com', (filled) => {
  return dnsPattern.test(filled.toLowerCase()) && !isIP(filled)
})
export const uriTemplate = template('a URI, e.g. spiffe://example.com/device/{device}', (filled) => {
  return URL.canParse(filled) && /^[\x21-\x7e]+$/.test(filled)
})

/** Between 0 and 1, both excluded: a number such as 0.66 or a fraction such as 2/3. */
export const fraction = (bounds: { zero: boolean }) =>
  value((input) => {
    const [, numerator, denominator] = /^(\d+)\s*\/\s*(\d+)$/.exec(String(input)) ?? []
    const number = denominator === undefined ? input : Number(numerator) / Number(denominator)
    if (typeof number === 'number' && number < 1 && (number > 0 || (bounds.zero && number === 0))) return number
    throw new RangeError(`should lie between 0 and 1${bounds.zero ? '' : ', both excluded'}, e.g. 0.1 or 2/3`)
  })

/** Program and arguments. */
export const command = value((input): string[] => {
  const right = 'a command is a list of program and arguments that no shell reads, e.g. [nginx, -s, reload]'
  if (!Array.isArray(input) || input.length === 0) throw new RangeError(right)
  return input.map((word) => {
    if (typeof word !== 'string' || word.includes('\0')) throw new RangeError(`${right}; each one text`)
    return word
  })
})

/** A name fit for a URL path, a file and a log line. */
export const namePattern = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/
export const name = value((input) => {
  if (typeof input === 'string' && namePattern.test(input)) return input
  throw new RangeError('should be a name of a-z, 0-9, ".", "_", "-", at most 64 characters')
})

const secretKinds = ['file', 'environment', 'credential']
const secretForms = '{ file: path }, { environment: NAME } or { credential: name }'

/** Where a secret lies. One that stands inline is refused without being repeated. */
export const secret = (base: string) =>
  value((input): SecretSource => {
    if (typeof input !== 'object' || input === null || Array.isArray(input))
      throw new RangeError(
        `a secret must not stand in this file, which backups and colleagues read; write ${secretForms}`,
      )
    const [entry, ...others] = Object.entries(input)
    if (entry === undefined || others.length > 0) throw new RangeError(`should be one of ${secretForms}`)
    const [kind, where] = entry
    if (!secretKinds.includes(kind)) throw new RangeError(`${kind}: unknown key; ${suggestion(kind, secretKinds)}`)
    if (kind === 'file') return { file: resolve(base, text(where, 'a path')) }
    if (kind === 'credential') {
      if (typeof where === 'string' && /^[A-Za-z0-9_.-]{1,255}$/.test(where) && !/^\.+$/.test(where))
        return { credential: where }
      throw new RangeError('credential: should be the name of a systemd credential')
    }
    if (typeof where === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(where)) return { environment: where }
    throw new RangeError('environment: should be the name of an environment variable')
  })
