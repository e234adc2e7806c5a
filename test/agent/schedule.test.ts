import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AgentErrorCode } from '../../src/agent/error.ts'
import { callTimeout, contactDelay, decideRenewal, ownSlot, retryDelay } from '../../src/agent/schedule.ts'

const day = 86_400_000
const life = { notBefore: 0, notAfter: 90 * day }
const facts = { ...life, now: 10 * day, hint: null, jitter: 0.5, forced: false }

describe('the renewal decision', () => {
  it('waits for two thirds of life without a hint', () => {
    expect(decideRenewal(facts)).toMatchObject({ act: 'wait', reason: 'two-thirds', at: 60 * day })
    expect(decideRenewal({ ...facts, now: 60 * day })).toMatchObject({ act: 'renew', reason: 'two-thirds' })
  })

  it('spreads devices over a tenth of life around two thirds', () => {
    expect(ownSlot({ ...life, jitter: 0 })).toBeCloseTo(55.5 * day, -3)
    expect(ownSlot({ ...life, jitter: 0.999999 })).toBeLessThan(64.5 * day)
  })

  it('follows the hint of the server, earlier or later than two thirds', () => {
    expect(decideRenewal({ ...facts, hint: { now: false, at: 5 * day } })).toMatchObject({
      act: 'renew',
      reason: 'hint',
    })
    expect(decideRenewal({ ...facts, now: 70 * day, hint: { now: false, at: 80 * day } })).toMatchObject({
      act: 'wait',
      at: 80 * day,
    })
  })

  it('renews at once when the server says so', () => {
    expect(decideRenewal({ ...facts, hint: { now: true, at: 80 * day } })).toMatchObject({
      act: 'renew',
      reason: 'told',
    })
  })

  it('does not believe a hint past the end of the certificate', () => {
    const hint = { now: false, at: 91 * day }
    expect(decideRenewal({ ...facts, hint })).toMatchObject({ act: 'wait', reason: 'two-thirds', at: 60 * day })
  })

  it('still renews a certificate that has ended, whatever the hint', () => {
    const hint = { now: false, at: 89 * day }
    expect(decideRenewal({ ...facts, now: 91 * day, hint })).toMatchObject({ act: 'renew', reason: 'expired' })
  })

  it('renews when asked to', () => {
    expect(decideRenewal({ ...facts, forced: true })).toMatchObject({ act: 'renew', reason: 'forced' })
  })

  it('never waits past the end, for any life, hint and jitter', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 400 * day }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        fc.option(fc.integer({ min: -400 * day, max: 800 * day })),
        fc.integer({ min: -day, max: 800 * day }),
        (length, jitter, at, now) => {
          const hint = at === null ? null : { now: false, at }
          const verdict = decideRenewal({ now, notBefore: 0, notAfter: length, hint, jitter, forced: false })
          expect(verdict.act === 'renew' || (verdict.at > now && verdict.at < length)).toBe(true)
        },
      ),
    )
  })
})

describe('the pace', () => {
  it('checks in every second for certificates of seconds and every few hours for those of months', () => {
    expect(contactDelay({ notBefore: 0, notAfter: 20_000 }, 0.5)).toBe(1_000)
    expect(contactDelay(life, 0.5)).toBe(6 * 3_600_000)
    expect(contactDelay(life, 0)).not.toBe(contactDelay(life, 0.9))
  })

  it('gives a call two to thirty seconds', () => {
    expect(callTimeout({ notBefore: 0, notAfter: 4_000 })).toBe(2_000)
    expect(callTimeout({ notBefore: 0, notAfter: 20_000 })).toBe(5_000)
    expect(callTimeout(life)).toBe(30_000)
  })

  const failure = {
    life,
    now: 61 * day,
    failures: 1,
    code: 'network' as AgentErrorCode,
    retryAfter: null,
    fraction: 0.5,
  }

  it('backs off from failure to failure, up to a bound', () => {
    const delays = [1, 2, 3, 4, 5, 30].map((failures) => retryDelay({ ...failure, failures, fraction: 0.999 }))
    expect(delays.slice(0, 5)).toEqual([...delays.slice(0, 5)].sort((one, other) => one - other))
    expect(delays[5]).toBeLessThanOrEqual(15 * 60_000)
    expect(delays[5]).toBeGreaterThan(14 * 60_000)
  })

  it('scales the backoff to a life of seconds, so that a device that was cut off is back in time', () => {
    const short = { notBefore: 0, notAfter: 20_000 }
    expect(retryDelay({ ...failure, life: short, now: 15_000, failures: 30, fraction: 0.999 })).toBeLessThanOrEqual(
      1_000,
    )
  })

  it('is slow with a server that says no, and with a certificate that has ended', () => {
    const many = { ...failure, failures: 30, fraction: 0.999 }
    expect(retryDelay({ ...many, code: 'refused' })).toBeGreaterThan(3_600_000)
    expect(retryDelay({ ...many, now: 91 * day })).toBeGreaterThan(3_600_000)
  })

  it('waits as the server asks, but never away more than a quarter of the time left', () => {
    expect(retryDelay({ ...failure, retryAfter: 120_000 })).toBeGreaterThanOrEqual(120_000)
    const late = { ...failure, now: 90 * day - 3_600_000, retryAfter: 30 * day }
    expect(retryDelay(late)).toBeLessThan(3_600_000 / 4 + 15 * 60_000)
  })

  it('never makes two devices knock at the same time again', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        fc.constantFrom<AgentErrorCode>('network', 'busy', 'refused', 'rejected', 'local'),
        (failures, fraction, code) => {
          const one = retryDelay({ ...failure, failures, code, fraction })
          const other = retryDelay({ ...failure, failures, code, fraction: fraction + 0.1 })
          expect(other - one).toBeGreaterThan(one / 20)
          expect(one).toBeGreaterThan(0)
        },
      ),
    )
  })
})
