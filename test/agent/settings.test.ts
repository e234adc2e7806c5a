import { describe, expect, it } from 'vitest'
import { parseCommand } from '../../src/agent/arguments.ts'
import { parseRetryAfter } from '../../src/agent/calls.ts'
import { createLog } from '../../src/agent/log.ts'
import { loadSettings, type Settings, saveSettings } from '../../src/agent/settings.ts'
import { flyingClock } from '../fakes/agent-clock.ts'
import { PowerCutDisk } from '../fakes/power-cut-disk.ts'

const fingerprint = 'ab'.repeat(32)
const base = ['enroll', '--server', 'https://ca.example:8443', '--fingerprint', fingerprint, '--directory', '/d']
const settingsOf = (...more: string[]): Settings => {
  const command = parseCommand([...base, ...more])
  if (command.name !== 'enroll') throw new Error('expected enroll')
  return command.settings
}

describe('the command line', () => {
  it('is read into settings', () => {
    expect(settingsOf('--device', 'pump-7', '--key', 'rsa-3072')).toEqual({
      server: 'https://ca.example:8443',
      label: null,
      device: 'pump-7',
      fingerprint,
      key: 'rsa-3072',
      hook: null,
      hookTimeout: 60,
    })
  })

  it('takes a fingerprint with colons and in capitals', () => {
    const colons = fingerprint.toUpperCase().replace(/..(?=.)/g, '$&:')
    expect(parseCommand([...base.slice(0, 4), colons, ...base.slice(5)])).toMatchObject({ settings: { fingerprint } })
  })

  it('builds a hook from program and arguments, or for a shell when asked', () => {
    expect(settingsOf('--hook', '/bin/reload', '--hook-arg', 'a b', '--hook-arg=-x').hook).toEqual([
      '/bin/reload',
      'a b',
      '-x',
    ])
    expect(settingsOf('--hook-shell', 'a | b').hook).toEqual(['/bin/sh', '-c', 'a | b'])
  })

  it.each([
    [[], 'help'],
    [['renew', '--help'], 'help'],
  ])('answers %j with help', (argv, name) => {
    expect(parseCommand(argv)).toMatchObject({ name })
  })

  it.each([
    [['fly'], /unknown command 'fly'/],
    [['run'], /--directory is missing/],
    [['run', '--directory', '/d', '--token', 'x'], /Unknown option '--token'/],
    [['run', '--directory', '/d', 'more'], /Unexpected argument 'more'/],
    [[...base, '--key', 'rsa-1024'], /key 'rsa-1024': expected one of ec-p256/],
    [[...base, '--hook-arg', 'x'], /--hook-arg needs --hook/],
    [[...base, '--hook', 'x', '--hook-shell', 'y'], /exclude each other/],
    [[...base, '--device', 'a:b'], /without colon/],
    [[...base, '--label', 'a/b'], /label 'a\/b'/],
    [['enroll', '--server', 'http://ca.example', ...base.slice(3)], /expected https/],
    [['enroll', '--server', 'https://ca.example/path', ...base.slice(3)], /expected no path/],
    [['enroll', '--server', 'https://user:secret@ca.example', ...base.slice(3)], /expected https/],
    [[...base.slice(0, 4), 'abc', ...base.slice(5)], /fingerprint 'abc': expected the 64/],
  ])('refuses %j', (argv, message) => {
    expect(() => parseCommand(argv)).toThrow(message)
    expect(() => parseCommand(argv)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})

describe('agent.json', () => {
  const disk = new PowerCutDisk()
  disk.makeDirectory('/d')
  const write = (value: unknown) => disk.write('/d/agent.json', new TextEncoder().encode(JSON.stringify(value)), 0o644)

  it('comes back as it was saved', () => {
    saveSettings(disk, '/d', settingsOf('--hook', 'reload'))
    expect(loadSettings(disk, '/d')).toEqual(settingsOf('--hook', 'reload'))
    expect(loadSettings(disk, '/nowhere')).toBeNull()
  })

  it('needs no more than server and fingerprint', () => {
    write({ server: 'https://ca.example', fingerprint })
    expect(loadSettings(disk, '/d')).toMatchObject({ key: 'ec-p256', hook: null, device: null })
  })

  it.each([
    [{ fingerprint }, /server is missing/],
    [{ server: 'https://ca.example' }, /fingerprint is missing/],
    [{ server: 'https://ca.example', fingerprint, hooks: [] }, /unknown setting 'hooks'; known are server/],
    [{ server: 'https://ca.example', fingerprint, hook: 'reload' }, /hook is not an array/],
    [{ server: 'https://ca.example', fingerprint, hookTimeout: 0 }, /hookTimeout 0: expected seconds/],
    [[], /damaged: not a JSON object/],
  ])('with %j is refused by name', (value, message) => {
    write(value)
    expect(() => loadSettings(disk, '/d')).toThrow(message)
  })
})

describe('small texts', () => {
  it('Retry-After is seconds or a date', () => {
    const now = Date.UTC(2027, 0, 1)
    expect(parseRetryAfter('120', now)).toBe(120_000)
    expect(parseRetryAfter('Fri, 01 Jan 2027 00:01:00 GMT', now)).toBe(60_000)
    expect(parseRetryAfter('Fri, 01 Jan 2021 00:01:00 GMT', now)).toBe(0)
    expect(parseRetryAfter('soon', now)).toBeNull()
    expect(parseRetryAfter(undefined, now)).toBeNull()
  })

  it('a log line is one line, as text or JSON', () => {
    const lines: string[] = []
    const clock = flyingClock({ start: Date.UTC(2027, 0, 1) })
    const write = (line: string) => void lines.push(line)
    createLog({ json: false, clock, write })('received', { pair: 2, reason: 'two\nlines "quoted"' })
    createLog({ json: true, clock, write })('received', { pair: 2 })
    expect(lines).toEqual([
      '2027-01-01T00:00:00Z received pair=2 reason="two\\nlines \\"quoted\\""\n',
      '{"time":"2027-01-01T00:00:00Z","message":"received","pair":2}\n',
    ])
  })
})
