import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCheckInRequest, parseCheckInResponse } from '../../src/protocol/check-in.ts'
import { ProtocolError } from '../../src/protocol/error.ts'

const request = {
  agent: 'everleaf-agent/0.1.0',
  time: '2026-01-31T12:00:00.000Z',
  trustAnchors: '"3f1c"',
  crl: null,
  error: null,
}

const response = {
  time: '2026-01-31T12:00:00Z',
  renew: { now: false, at: '2026-02-01T00:00:00+01:00', keys: 'rekey' },
  trustAnchors: '"3f1c"',
  crl: '"9a"',
}

describe('a check-in request', () => {
  it('is read', () => {
    expect(parseCheckInRequest(request)).toEqual(request)
  })

  it('may have fields of a later version, which are left out', () => {
    expect(parseCheckInRequest({ ...request, battery: 3 })).toEqual(request)
  })

  it('tells an error in one line, and none for an empty one', () => {
    expect(parseCheckInRequest({ ...request, error: ' a\n  at b\tc ' }).error).toBe('a at b c')
    expect(parseCheckInRequest({ ...request, error: '' }).error).toBe(null)
  })

  it.each([
    ['null', null, /request is not an object/],
    ['a list', [], /request is not an object/],
    ['a text', 'x', /request is not an object/],
    ['no agent', { ...request, agent: undefined }, /agent is missing, expected a string/],
    ['an empty agent', { ...request, agent: '' }, /agent has 0 characters/],
    ['an agent that is too long', { ...request, agent: 'x'.repeat(257) }, /agent has 257 characters; 1 to 256 allowed/],
    ['a number for an agent', { ...request, agent: 1 }, /agent is number/],
    ['a line end in the agent', { ...request, agent: 'a\nb' }, /control characters/],
    ['half a surrogate pair', { ...request, agent: '\ud800' }, /control characters/],
    ['a time in words', { ...request, time: 'now' }, /time is no time such as/],
    ['a time without a zone', { ...request, time: '2026-01-31T12:00:00' }, /time is no time/],
    ['a day that does not exist', { ...request, time: '2026-13-31T12:00:00Z' }, /time is no time/],
    ['no ETag field', { ...request, trustAnchors: undefined }, /trustAnchors is missing/],
    ['a list for an ETag', { ...request, crl: ['a'] }, /crl is object/],
    ['an error that is too long', { ...request, error: 'x'.repeat(1025) }, /error has 1025 characters/],
    ['an error that is no text', { ...request, error: {} }, /error is object/],
  ])('is refused with %s', (_, json, problem) => {
    expect(() => parseCheckInRequest(json)).toThrow(ProtocolError)
    expect(() => parseCheckInRequest(json)).toThrow(problem)
  })
})

describe('a check-in response', () => {
  it('is read', () => {
    expect(parseCheckInResponse(response)).toEqual(response)
  })

  it.each([
    ['no renewal', { ...response, renew: undefined }, /renew is not an object/],
    ['a text for now', { ...response, renew: { ...response.renew, now: 'false' } }, /renew.now is not a boolean/],
    ['no time for it', { ...response, renew: { ...response.renew, at: null } }, /renew.at is object/],
    ['other keys', { ...response, renew: { ...response.renew, keys: 'new' } }, /renew.keys is neither/],
    ['no time', { ...response, time: undefined }, /time is missing/],
  ])('is refused with %s', (_, json, problem) => {
    expect(() => parseCheckInResponse(json)).toThrow(problem)
  })
})

it('any JSON is a check-in or refused', () => {
  const fields = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>('2026-01-31T12:00:00Z', request, response, response.renew),
  )
  const objects = fc.record({
    agent: fields,
    time: fields,
    trustAnchors: fields,
    crl: fields,
    error: fields,
    renew: fields,
  })
  fc.assert(
    fc.property(fc.oneof(fields, objects), (json) => {
      for (const parse of [parseCheckInRequest, parseCheckInResponse]) {
        try {
          parse(json)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }
    }),
    { numRuns: 1000 },
  )
})
