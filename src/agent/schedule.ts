/** When things are due: pure decisions, instants in Unix milliseconds, durations in milliseconds. */
import { isoTime } from './clock.ts'
import type { AgentErrorCode } from './error.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

export interface ScheduleFacts {
  now: number
  notBefore: number
  notAfter: number
  /** What the server said about this very certificate; null: nothing. */
  hint: { now: boolean; at: number } | null
  /** In [0, 1), drawn once per device. */
  jitter: number
  forced: boolean
}

export interface Verdict {
  act: 'renew' | 'wait'
  reason: 'forced' | 'told' | 'expired' | 'hint' | 'two-thirds'
  /** When the renewal is due. */
  at: number
  message: string
}

/** Two thirds of life, spread over a tenth of it. */
export const ownSlot = ({
  notBefore,
  notAfter,
  jitter,
}: Pick<ScheduleFacts, 'notBefore' | 'notAfter' | 'jitter'>): number =>
  notBefore + (notAfter - notBefore) * (2 / 3 + (jitter - 0.5) / 10)

/** The server's hint decides; without one, or with one that lies past the end, two thirds of life. */
export const decideRenewal = (facts: ScheduleFacts): Verdict => {
  const { now, notAfter, hint } = facts
  if (facts.forced) return { act: 'renew', reason: 'forced', at: now, message: 'renewal was asked for' }
  if (hint?.now) return { act: 'renew', reason: 'told', at: now, message: 'the server says to renew now' }
  if (now > notAfter) {
    return { act: 'renew', reason: 'expired', at: now, message: `the certificate ended at ${isoTime(notAfter)}` }
  }
  const useful = hint !== null && hint.at < notAfter
  const at = useful ? hint.at : ownSlot(facts)
  const source = useful ? 'the server said' : 'two thirds of life, without a hint'
  const act = now >= at ? 'renew' : 'wait'
  return {
    act,
    reason: useful ? 'hint' : 'two-thirds',
    at,
    message: `renewal is due at ${isoTime(Math.round(at))} (${source})`,
  }
}

export interface Life {
  notBefore: number
  notAfter: number
}

/** How long until the next check-in: a twentieth of life, from a second to six hours, spread by half either way. */
export const contactDelay = ({ notBefore, notAfter }: Life, fraction: number): number =>
  clamp((notAfter - notBefore) / 20, second, 6 * hour) * (0.75 + fraction / 2)

/** How long one call may take: a quarter of life, from two to thirty seconds. */
export const callTimeout = ({ notBefore, notAfter }: Life): number =>
  clamp((notAfter - notBefore) / 4, 2 * second, 30 * second)

/** Twice six hours, the most that `retryDelay` gives. */
const longestDelay = 12 * hour

/** Whether a noted retry is still to come. One further off than any delay was noted under a clock that was ahead. */
export const isAhead = (retryAt: number | null, now: number): boolean =>
  retryAt !== null && retryAt > now && retryAt - now <= longestDelay

export interface FailureFacts {
  life: Life
  now: number
  /** Failures in a row, this one included. */
  failures: number
  code: AgentErrorCode
  /** What the server asked for; null: nothing. */
  retryAfter: number | null
  fraction: number
}

/** Nothing that the next minutes could change: the server said no, or the certificate has ended. */
const isSlow = ({ code, life, now }: FailureFacts): boolean =>
  code === 'refused' || code === 'rejected' || code === 'unsupported' || now > life.notAfter

/**
 * Exponential backoff with full jitter (never under a tenth, so that chance makes no storm), scaled to the life of the certificate.
 * Retry-After moves the whole range later, but never so far that it eats more than a quarter of the time left.
 */
export const retryDelay = (facts: FailureFacts): number => {
  const { life, now, failures, retryAfter, fraction } = facts
  const length = life.notAfter - life.notBefore
  const slow = isSlow(facts)
  const base = clamp(length / 500, 200, slow ? minute : 10 * second)
  const most = slow ? clamp(length / 4, 2 * second, 6 * hour) : clamp(length / 40, second, 15 * minute)
  const backoff = Math.min(most, base * 2 ** Math.min(failures - 1, 20)) * (0.1 + 0.9 * fraction)
  const left = Math.max(0, life.notAfter - now)
  const longest = now > life.notAfter ? 6 * hour : clamp(left / 4, second, 6 * hour)
  return backoff + Math.min(retryAfter ?? 0, longest)
}
