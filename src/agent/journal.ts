import type { Disk } from './disk.ts'
import { AgentError } from './error.ts'
import { publicMode, readObject, replaceFile, toJson } from './files.ts'
import { layout } from './layout.ts'

/**
 * The last step that is done and durable:
 *
 * key-written  the new key is on disk; nobody else knows of it
 * requested    the request may have reached the server: from here on this key and no other is asked for
 * received     the certificate is on disk and was checked against key and trust anchors
 * proven       the server accepted a handshake with the new pair; it may have superseded the old one
 * switched     `current` names the new pair
 * hooked       the hook has succeeded, or there is none
 * confirmed    the server has seen the new pair in use: nothing is in progress
 */
export const steps = ['key-written', 'requested', 'received', 'proven', 'switched', 'hooked', 'confirmed'] as const
export type Step = (typeof steps)[number]

export interface Journal {
  kind: 'enrol' | 'renew'
  step: Step
  /** Number of the new pair. */
  pair: number
  /** Number of the pair that `current` named at the beginning; null: none. */
  previous: number | null
  /** ISO 8601. */
  startedAt: string
  /** How the server was seen to accept the new pair; null: not yet. */
  proof: 'check-in' | 'handshake' | null
  /** How often in a row the server refused the new pair. */
  refusals: number
  /** The hook of the previous pair had not succeeded when this began; owed again if this is given up. */
  hookOwed: boolean
  hook: { attempts: number; error: string | null; retryAt: number | null }
}

/** A hook that is owed and was not tried yet. */
export const owedHook: Journal['hook'] = { attempts: 0, error: null, retryAt: null }

export const isBefore = (journal: Journal, step: Step): boolean => steps.indexOf(journal.step) < steps.indexOf(step)

const count = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isHook = (value: unknown): value is Journal['hook'] => {
  if (typeof value !== 'object' || value === null) return false
  const { attempts, error, retryAt } = value as Record<string, unknown>
  return count(attempts) && (error === null || typeof error === 'string') && (retryAt === null || count(retryAt))
}

const parseJournal = (path: string, value: Record<string, unknown>): Journal => {
  const { kind, step, pair, previous, startedAt, proof, refusals, hookOwed, hook } = value
  const known = steps.find((name) => name === step)
  if (
    (kind !== 'enrol' && kind !== 'renew') ||
    known === undefined ||
    !count(pair) ||
    !(previous === null || count(previous)) ||
    typeof startedAt !== 'string' ||
    (proof !== null && proof !== 'check-in' && proof !== 'handshake') ||
    !count(refusals) ||
    typeof hookOwed !== 'boolean' ||
    !isHook(hook)
  ) {
    throw new AgentError('local', `${path} is damaged: a field is missing or has a value that this agent never writes`)
  }
  return { kind, step: known, pair, previous, startedAt, proof, refusals, hookOwed, hook }
}

/** Null when nothing was ever begun. Throws AgentError `local` when damaged. */
export const loadJournal = (disk: Disk, directory: string): Journal | null => {
  const path = layout.journal(directory)
  const value = readObject(disk, path)
  return value === null ? null : parseJournal(path, value)
}

export const saveJournal = (disk: Disk, directory: string, journal: Journal): void =>
  replaceFile(disk, layout.journal(directory), toJson(journal), publicMode)
