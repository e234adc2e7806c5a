import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { basicCredentials } from '../../../src/api/device/credentials.ts'
import { isEverleafError } from '../../../src/errors.ts'

const header = (text: string) => `Basic ${Buffer.from(text, 'utf8').toString('base64')}`

describe('HTTP Basic credentials', () => {
  it('are the user, maybe empty, and everything after the first colon', () => {
    expect(basicCredentials(header('device-1:token'))).toEqual({ user: 'device-1', password: 'token' })
    expect(basicCredentials(header(':to:ken'))).toEqual({ user: '', password: 'to:ken' })
    expect(basicCredentials(header('a:b').replace('Basic', 'bASIC  '))).toEqual({ user: 'a', password: 'b' })
  })

  it.each([
    ['that are not there', undefined, 'one-time token'],
    ['of another scheme', 'Bearer abc', 'not HTTP Basic'],
    ['that are no base64', 'Basic $$$', 'not HTTP Basic'],
    ['with words after them', `${header('a:b')} x`, 'not HTTP Basic'],
    ['without padding', 'Basic YTpiYw', 'not base64'],
    ['that are no UTF-8', `Basic ${Buffer.from('a:\xff', 'latin1').toString('base64')}`, 'not base64 of UTF-8'],
    ['without a colon', header('token'), 'no colon'],
    ['with an empty password', header('device-1:'), 'is empty'],
    ['with a NUL', header('device-1:token\0x'), 'characters'],
    ['with a NUL at the end', header('device-1:token\0'), 'characters'],
    ['with a blank in the password', header('device-1:to ken'), 'characters'],
    ['with a line end in the user', header('device\n:token'), 'characters'],
    ['of great length', header(`a:${'x'.repeat(1_000)}`), 'length'],
  ])('%s are refused, without repeating them', (_, value, message) => {
    let refusal: unknown
    try {
      basicCredentials(value)
    } catch (error) {
      refusal = error
    }
    expect(isEverleafError(refusal, 'unauthenticated')).toBe(true)
    expect((refusal as Error).message).toContain(message)
    expect((refusal as Error).message).not.toContain('token\0')
  })

  it('are read or refused, whatever the header holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        for (const value of [text, `Basic ${text}`, header(text)])
          try {
            const { password } = basicCredentials(value)
            expect(password).toMatch(/^[!-~]{1,256}$/)
          } catch (error) {
            expect(isEverleafError(error, 'unauthenticated')).toBe(true)
          }
      }),
    )
  })
})
