import { describe, expect, it } from 'vitest'
import { details, plain, relative, table } from '../../src/cli/format.ts'
import { createLog, wordsOf } from '../../src/cli/log.ts'
import { createProgress } from '../../src/cli/progress.ts'
import { fakeClock } from '../fakes/clock.ts'
import { fakeTerminal, runIn } from '../support/console.ts'

describe('what people read', () => {
  it('tells times in the largest unit of which there are two', () => {
    const second = 1000
    const spans: Array<[number, string]> = [
      [0, 'now'],
      [second, 'in 1 s'],
      [119 * second, 'in 119 s'],
      [120 * second, 'in 2 min'],
      [-7199 * second, '119 min ago'],
      [7200 * second, 'in 2 h'],
      [47 * 3600 * second, 'in 47 h'],
      [29 * 86_400 * second, 'in 29 d'],
      [-400 * 86_400 * second, '400 d ago'],
    ]
    for (const [span, words] of spans) expect(relative(1e12 + span, 1e12)).toBe(words)
  })

  it('aligns columns by characters and leaves no blanks at line ends', () => {
    const lines = table(
      ['A', 'LONG'],
      [
        ['wider', 'x'],
        ['ü', ''],
      ],
    ).split('\n')
    expect(lines).toEqual(['A      LONG', 'wider  x', 'ü'])
  })

  it('leaves out fields without a value', () => {
    expect(
      details([
        ['Device', 'a'],
        ['Agent', null],
      ]),
    ).toBe('Device  a')
  })

  it('shows control characters and reversed text as what they are not', () => {
    expect(plain('a\u0007b\nc\u202ed')).toBe('a\ufffdb\ufffdc\ufffdd')
  })

  it('shows progress to somebody who watches, once a percent, and to nobody else', () => {
    const watched = fakeTerminal('yes')
    const progress = createProgress('copying', watched)
    for (let done = 0; done <= 1000; done++) progress.show(done, 1000)
    progress.end()
    expect(watched.written.err.split('\r')).toHaveLength(102)
    expect(watched.written.err).toMatch(/copying: 100 % \(1000 of 1000\)\n$/)
    const pipe = fakeTerminal()
    createProgress('copying', pipe).show(1, 2)
    expect(pipe.written.err).toBe('')
  })
})

describe('the log', () => {
  it('blanks secrets wherever they stand', () => {
    for (const terminal of [fakeTerminal(), fakeTerminal('watched')]) {
      const log = createLog('info', terminal)
      log.info({ token: 'SECRET', request: { authorization: 'SECRET', body: { passphrase: 'SECRET' } } }, 'hello')
      expect(terminal.written.err).toContain('hello')
      expect(terminal.written.err).not.toContain('SECRET')
    }
  })

  it('is JSON for programs and words for people', () => {
    const [pipe, watched] = [fakeTerminal(), fakeTerminal('watched')]
    for (const terminal of [pipe, watched]) createLog('info', terminal).warn({ device: 'a', count: 2 }, 'late')
    expect(JSON.parse(pipe.written.err)).toMatchObject({ level: 40, device: 'a', count: 2, msg: 'late' })
    expect(watched.written.err).toMatch(/^\d\d:\d\d:\d\d warn {2}late {2}device=a {2}count=2\n$/)
  })

  it('shows an event by its subject and detail', () => {
    const line = JSON.stringify({
      level: 30,
      time: '2027-01-01T10:20:30Z',
      msg: 'Certificate Revoked',
      event: { id: 'x', subject: 'truck', detail: { Reason: 'y' } },
    })
    expect(wordsOf(line)).toBe('10:20:30 info  Certificate Revoked  subject=truck  Reason=y\n')
  })
})

describe('every command', () => {
  /** The names of a command's own subcommands, as its help lists them. */
  const subcommands = (help: string): string[] =>
    (help.split('\nCommands:\n')[1] ?? '')
      .split('\n')
      .flatMap((line) => /^ {2}([a-z-]+)/.exec(line)?.[1] ?? [])
      .filter((name) => name !== 'help')

  it('has help with an example, and --json', async () => {
    const walk = async (path: string[]): Promise<string[]> => {
      const { code, out } = await runIn([...path, '--help'])
      expect([path, code]).toEqual([path, 0])
      const below = subcommands(out)
      if (below.length > 0) return (await Promise.all(below.map((name) => walk([...path, name])))).flat()
      expect([path, out]).toEqual([path, expect.stringMatching(/Examples?:\n {2}\$ \S*.*everleaf /)])
      expect(out).toContain('--json')
      return [path.join(' ')]
    }
    expect(await walk([])).toEqual(
      expect.arrayContaining([
        ...[
          'init',
          'serve',
          'status',
          'backup',
          'restore',
          'token create',
          'devices list',
          'devices show',
          'devices retire',
        ],
        ...[
          'certs list',
          'certs show',
          'certs why',
          'certs revoke',
          'certs import',
          'authority list',
          'authority show',
        ],
        ...[
          'truststore show',
          'truststore plan',
          'truststore publish',
          'truststore rollback',
          'crl show',
          'crl publish',
        ],
        ...[
          'gateways list',
          'gateways show',
          'gateways sync',
          'events tail',
          'dead-letters list',
          'dead-letters retry',
        ],
      ]),
    )
  })

  it('ends with 2 for what cannot be understood, and 0 for help and version', async () => {
    const clock = fakeClock()
    for (const argv of [
      ['frobnicate'],
      ['certs'],
      ['certs', 'show'],
      ['token', 'create'],
      ['status', '--nonsense'],
      ['status', 'extra'],
    ])
      expect([argv, (await runIn(argv, { clock })).code]).toEqual([argv, 2])
    expect(await runIn(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
    expect((await runIn(['devics'])).err).toContain('Did you mean devices?')
  })

  it('ends with 1 and the place for a configuration that is wrong', async () => {
    const { code, err } = await runIn(['--config', '/nonexistent/everleaf.yaml', 'status'])
    expect(code).toBe(1)
    expect(err).toContain('/nonexistent/everleaf.yaml')
  })
})
