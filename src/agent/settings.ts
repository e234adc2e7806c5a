import type { Disk } from './disk.ts'
import { AgentError } from './error.ts'
import { publicMode, readObject, replaceFile, toJson } from './files.ts'
import { layout } from './layout.ts'

export const keyTypes = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072'] as const
export type KeyType = (typeof keyTypes)[number]

/** The operator's side: `agent.json`. The agent writes it at enrolment and only reads it later. */
export interface Settings {
  /** https://host[:port] */
  server: string
  /** Label of the EST server (RFC 7030 §3.2.2); null: none. */
  label: string | null
  /** Sent as the user name at enrolment and as CN of the first request; null: the server knows by the token. */
  device: string | null
  /** SHA-256 of the root certificate's DER, lower-case hexadecimal. */
  fingerprint: string
  key: KeyType
  /** Program and arguments, run without a shell after each switch; null: none. */
  hook: readonly string[] | null
  /** Seconds after which the hook is killed and counts as failed. Too short cuts a reload in two; too long delays the retry. */
  hookTimeout: number
}

const bad = (path: string, what: string): AgentError => new AgentError('usage', `${path}: ${what}`)

/** `https://host[:port]` without path, query or password. */
export const parseServer = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new AgentError('usage', `server '${text}': expected https://host:port`)
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new AgentError('usage', `server '${text}': expected no path; a label of the EST server is given by --label`)
  }
  return url.origin
}

/** SHA-256 in hexadecimal, colons allowed. */
export const parseFingerprint = (text: string): string => {
  const plain = text.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(plain)) {
    throw new AgentError('usage', `fingerprint '${text}': expected the 64 hexadecimal digits of a SHA-256`)
  }
  return plain
}

export const parseKeyType = (text: string): KeyType => {
  const found = keyTypes.find((name) => name === text)
  if (found === undefined) throw new AgentError('usage', `key '${text}': expected one of ${keyTypes.join(', ')}`)
  return found
}

export const parseLabel = (text: string): string => {
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(text)) {
    throw new AgentError('usage', `label '${text}': expected 1 to 64 letters, digits or . _ ~ -`)
  }
  return text
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')

const known = ['server', 'label', 'device', 'fingerprint', 'key', 'hook', 'hookTimeout']

const parseSettings = (path: string, value: Record<string, unknown>): Settings => {
  const stranger = Object.keys(value).find((name) => !known.includes(name))
  if (stranger !== undefined) throw bad(path, `unknown setting '${stranger}'; known are ${known.join(', ')}`)
  const { server, label = null, device = null, fingerprint, key = 'ec-p256', hook = null, hookTimeout = 60 } = value
  if (typeof server !== 'string') throw bad(path, 'server is missing; expected https://host:port')
  if (typeof fingerprint !== 'string') throw bad(path, 'fingerprint is missing; expected the SHA-256 of the root')
  if (label !== null && typeof label !== 'string') throw bad(path, 'label is not a text')
  if (device !== null && typeof device !== 'string') throw bad(path, 'device is not a text')
  if (typeof key !== 'string') throw bad(path, 'key is not a text')
  if (hook !== null && !isStrings(hook)) throw bad(path, 'hook is not an array: ["program", "argument", …]')
  if (typeof hookTimeout !== 'number' || !(hookTimeout > 0 && hookTimeout <= 3600)) {
    throw bad(path, `hookTimeout ${String(hookTimeout)}: expected seconds, more than 0 and at most 3600`)
  }
  return {
    server: parseServer(server),
    label: label === null ? null : parseLabel(label),
    device,
    fingerprint: parseFingerprint(fingerprint),
    key: parseKeyType(key),
    hook,
    hookTimeout,
  }
}

/** Null when the directory has no settings: nothing was enrolled there. */
export const loadSettings = (disk: Disk, directory: string): Settings | null => {
  const path = layout.settings(directory)
  const value = readObject(disk, path)
  return value === null ? null : parseSettings(path, value)
}

export const saveSettings = (disk: Disk, directory: string, settings: Settings): void =>
  replaceFile(disk, layout.settings(directory), toJson(settings), publicMode)
