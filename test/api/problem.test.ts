import { describe, expect, it } from 'vitest'
import { problemOf, StatusError } from '../../src/api/problem.ts'
import { type ErrorCode, EverleafError } from '../../src/errors.ts'
import { seededRandom } from '../fakes/random.ts'

const random = seededRandom()
const statusOf = (error: unknown) => problemOf(error, random).status

describe('an error is told as a problem document', () => {
  const statuses: Array<[ErrorCode, number]> = [
    ['bad-input', 400],
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['not-found', 404],
    ['conflict', 409],
    ['refused', 409],
    ['too-many', 429],
    ['unavailable', 503],
    ['configuration', 500],
    ['damaged', 500],
    ['internal', 500],
  ]
  it.each(statuses)('%s as %i', (code, status) => {
    const { document } = problemOf(new EverleafError(code, 'the reason'), random)
    expect(document).toMatchObject({ type: 'about:blank', status, code })
    expect(document.detail === 'the reason').toBe(status !== 500)
  })

  it('a fault of ours tells nothing of the inside', () => {
    for (const error of [
      new Error('/secret/path'),
      new TypeError('x is not a function'),
      'text',
      null,
      new EverleafError('damaged', 'row 7'),
    ]) {
      const problem = problemOf(error, random)
      expect(problem.status).toBe(500)
      expect(JSON.stringify(problem)).not.toMatch(/secret|function|text|row 7/)
    }
  })

  it('with Retry-After in whole seconds, never 0, where waiting helps', () => {
    const waitOf = (milliseconds: number) =>
      problemOf(new EverleafError('too-many', 'later', { retryAfter: milliseconds }), random).headers['Retry-After']
    expect([waitOf(1), waitOf(1_000), waitOf(1_001), waitOf(90_000)]).toEqual(['1', '1', '2', '90'])
    expect(problemOf(new EverleafError('forbidden', 'no'), random).headers).toEqual({})
  })

  it('with a Retry-After that is another for each client, where the error names none', () => {
    const drawn = Array.from({ length: 50 }, () =>
      Number(problemOf(new EverleafError('unavailable', 'busy'), random).headers['Retry-After']),
    )
    expect(new Set(drawn).size).toBeGreaterThan(5)
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(10)
    expect(Math.max(...drawn)).toBeLessThanOrEqual(30)
  })

  it('an HTTP refusal keeps its status and headers', () => {
    expect(statusOf(new StatusError(415, 'no'))).toBe(415)
    expect(problemOf(new StatusError(405, 'no', { Allow: 'GET' }), random)).toMatchObject({
      status: 405,
      headers: { Allow: 'GET' },
      document: { title: 'Method Not Allowed', code: 'method-not-allowed' },
    })
  })
})
