import type { Disk } from './disk.ts'
import type { AgentErrorCode } from './error.ts'
import { publicMode, readObject, replaceFile, toJson } from './files.ts'
import { layout } from './layout.ts'

/** What the server said about one certificate. Instants in Unix milliseconds. */
export interface Hint {
  /** SHA-256 of the certificate's DER that it is about. */
  certificate: string
  now: boolean
  at: number
  keys: 'rekey' | 'reuse'
}

/** The agent's own notes, `state.json`. All of it can be lost without harm: it is learnt again. */
export interface Memory {
  /** Newest instant that a verified signature proved to be past, Unix milliseconds. */
  floor: number
  /** Drawn once, in [0, 1): where in the band around two thirds of life this device renews without a hint. */
  jitter: number | null
  hint: Hint | null
  /** The server's tag of the installed trust anchors. */
  trustAnchors: string | null
  /** The server has no check-in: a plain EST server. */
  plain: boolean
  lastContact: number | null
  /** `told`: the server has heard of it. */
  lastError: { time: number; code: AgentErrorCode; message: string; told: boolean } | null
  /** Failures in a row. */
  failures: number
  /** No try before this instant. */
  retryAt: number | null
}

export const emptyMemory: Memory = {
  floor: 0,
  jitter: null,
  hint: null,
  trustAnchors: null,
  plain: false,
  lastContact: null,
  lastError: null,
  failures: 0,
  retryAt: null,
}

const instant = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null

const parseHint = (value: unknown): Hint | null => {
  if (typeof value !== 'object' || value === null) return null
  const { certificate, now, at, keys } = value as Record<string, unknown>
  const when = instant(at)
  if (typeof certificate !== 'string' || when === null || (keys !== 'rekey' && keys !== 'reuse')) return null
  return { certificate, now: now === true, at: when, keys }
}

const parseLastError = (value: unknown): Memory['lastError'] => {
  if (typeof value !== 'object' || value === null) return null
  const { time, code, message, told } = value as Record<string, unknown>
  const when = instant(time)
  if (when === null || typeof code !== 'string' || typeof message !== 'string') return null
  return { time: when, code: code as AgentErrorCode, message, told: told === true }
}

/** Reads field by field and forgets what is not as expected: notes are worth no failure. */
export const parseMemory = (value: Record<string, unknown>): Memory => ({
  floor: instant(value.floor) ?? 0,
  jitter: typeof value.jitter === 'number' && value.jitter >= 0 && value.jitter < 1 ? value.jitter : null,
  hint: parseHint(value.hint),
  trustAnchors: typeof value.trustAnchors === 'string' ? value.trustAnchors : null,
  plain: value.plain === true,
  lastContact: instant(value.lastContact),
  lastError: parseLastError(value.lastError),
  failures: instant(value.failures) ?? 0,
  retryAt: instant(value.retryAt),
})

/** What a damaged file held is lost, and `damaged` is told why. */
export const loadMemory = (disk: Disk, directory: string, damaged: (error: unknown) => void): Memory => {
  try {
    return parseMemory(readObject(disk, layout.state(directory)) ?? {})
  } catch (error) {
    damaged(error)
    return emptyMemory
  }
}

export const saveMemory = (disk: Disk, directory: string, memory: Memory): void =>
  replaceFile(disk, layout.state(directory), toJson(memory), publicMode)
