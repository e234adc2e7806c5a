import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { enrolmentCommand } from '../../../src/api/admin/enrolment-command.ts'

const usual = {
  token: 'abc-DEF_123',
  device: 'pump-7',
  server: 'https://everleaf.test:8443',
  fingerprint: 'ab'.repeat(32),
}

it('is one line to type, with the token in the environment and not among the arguments', () => {
  expect(enrolmentCommand(usual)).toBe(
    `EVERLEAF_TOKEN=abc-DEF_123 node dist/everleaf-agent.mjs enroll --server https://everleaf.test:8443 --fingerprint ${usual.fingerprint} --device pump-7 --directory ./pump-7`,
  )
})

it('whatever the values are, a shell takes each of them whole', () => {
  const word = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }).map((text) => text.replaceAll('\0', ''))
  fc.assert(
    fc.property(word, word, (device, server) => {
      const command = enrolmentCommand({ ...usual, device: `x${device}`, server: `x${server}` })
      const script = `node() { printf '%s\\0' "$EVERLEAF_TOKEN" "$@"; }; ${command}`
      const seen = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0')
      expect([seen[0], seen[4], seen[8]]).toEqual([usual.token, `x${server}`, `x${device}`])
    }),
    { numRuns: 40 },
  )
})
