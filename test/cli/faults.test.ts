import { once } from 'node:events'
import { chmod, mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lockDatabase } from '../../src/store/sqlite/lock.ts'
import { type Bench, type Benches, contentsOf, everleaf, makeBenches, mounting } from '../faults/command.ts'
import { runIn } from '../support/console.ts'

/** What an operator can get wrong, and what a machine can: exit 1 and one line that says it, nothing changed, no stack. */

let benches: Benches
beforeAll(async () => {
  benches = await makeBenches()
})
afterAll(() => benches.remove())

interface Ended {
  code: number | null
  out: string
  err: string
}

const expectOneLine = ({ code, out, err }: Ended, words: RegExp): void => {
  expect(err).toMatch(words)
  expect(err).toMatch(/^everleaf: [^\n]+\n$/)
  expect(err).not.toMatch(/\n {4}at /)
  expect({ code, out }).toEqual({ code: 1, out: '' })
}

/** Runs a command that must be refused with these words and change nothing. */
const expectRefusal = async (bench: Bench, argv: string[], words: RegExp): Promise<void> => {
  const before = await contentsOf(bench.directory)
  expectOneLine(await bench.everleaf(...argv), words)
  expect(await contentsOf(bench.directory)).toEqual(before)
}

describe.concurrent('a configuration', () => {
  const wrong: Array<[string, string, RegExp]> = [
    ['with an unknown section', '{ lisetn: {} }', /everleaf\.yaml:1: lisetn: unknown key; did you mean listen\?/],
    [
      'with an unknown key far inside',
      '{ profiles: { device: { renewal: { jiter: 0.1 } } } }',
      /profiles\.device\.renewal\.jiter: unknown key; did you mean jitter\?/,
    ],
    ['with a bad unit', '{ crl: { validity: 7days } }', /crl\.validity: unknown unit "days"; units are .* e\.g\. 7d/],
    ['with no unit', '{ crl: { validity: 7 } }', /crl\.validity: "7" has no unit/],
    ['with a bad port', '{ listen: { device: { port: 99999 } } }', /listen\.device\.port: should be a port/],
    [
      'with settings that contradict',
      '{ crl: { refresh: 6d } }',
      /crl\.refresh: 6d is longer than half of crl\.validity/,
    ],
    ['that is no YAML', 'data: [', /everleaf\.yaml:\d: /],
    ['that is a list', '- data', /everleaf\.yaml:1: should be a map of settings/],
  ]
  test.each(wrong)('%s stops serve, and nothing changed', async (_, text, words) => {
    const bench = await benches.bare()
    await writeFile(bench.config, text)
    const before = await contentsOf(bench.directory)
    expectOneLine(await runIn(['--config', bench.config, 'serve', '--init']), words)
    expect(await contentsOf(bench.directory)).toEqual(before)
  })

  test('that is not there stops every command', async () => {
    const bench = await benches.bare()
    await rm(bench.config)
    await expectRefusal(bench, ['status'], /cannot read the configuration: .*everleaf\.yaml/)
  })

  test.each([
    ['an unknown command', ['servee'], /Did you mean serve\?/],
    ['a missing option', ['token', 'create'], /--device <id>/],
    ['an unknown choice', ['certs', 'import', '--source', 'mine', 'x'], /Allowed choices are imported, partner/],
  ])('is not asked where the command line has %s: exit 2', async (_, argv, words) => {
    const bench = await benches.bare()
    const { code, out, err } = await runIn(['--config', bench.config, ...argv])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(words)
  })
})

describe.concurrent('secrets and CAs', () => {
  const damages: Array<[string, (bench: Bench) => Promise<unknown>, RegExp]> = [
    [
      'a wrong passphrase',
      ({ data }) => writeFile(join(data, 'passphrase'), 'not the one\n'),
      /issuing-g1\.key\.pem does not open with this passphrase; check what authority\.passphrase names/,
    ],
    ['an empty passphrase', ({ data }) => writeFile(join(data, 'passphrase'), ''), /passphrase is empty/],
    [
      'a passphrase that everybody may read',
      ({ data }) => chmod(join(data, 'passphrase'), 0o644),
      /everybody may use it \(mode 0644\); close it with "chmod 600 .*passphrase"/,
    ],
    ['no passphrase', ({ data }) => rm(join(data, 'passphrase')), /authority\.passphrase from file .*ENOENT/],
    [
      'an admin token that everybody may read',
      ({ data }) => chmod(join(data, 'admin-token'), 0o604),
      /admin token .*everybody may use it \(mode 0604\)/,
    ],
    ['no admin token', ({ data }) => rm(join(data, 'admin-token')), /admin token from file .*ENOENT/],
    [
      'no root certificate',
      ({ data }) => rm(join(data, 'authority/root-g1.certificate.pem')),
      /no certificate here has signed CN=Everleaf Issuing G1, expected one of CN=Everleaf Root G1/,
    ],
    [
      'no key of the issuing CA',
      ({ data }) => rm(join(data, 'authority/issuing-g1.key.pem')),
      /holds no issuing CA with its key, expected e\.g\. issuing-g1\.key\.pem/,
    ],
    [
      'a key that is cut off',
      ({ data }) => truncate(join(data, 'authority/issuing-g1.key.pem'), 100),
      /issuing-g1\.key\.pem is cut off or damaged/,
    ],
    [
      'a key of another CA',
      async ({ data }) => {
        const key = await readFile(join(data, 'authority/root-g1.key.pem'))
        await writeFile(join(data, 'authority/issuing-g1.key.pem'), key)
      },
      /issuing-g1\.key\.pem is not the key of .*issuing-g1\.certificate\.pem/,
    ],
    [
      'a certificate that is none',
      ({ data }) => writeFile(join(data, 'authority/issuing-g1.certificate.pem'), 'hello\n'),
      /issuing-g1\.certificate\.pem: PEM: no block of CERTIFICATE found/,
    ],
    [
      'no CAs at all',
      ({ data }) => rm(join(data, 'authority'), { recursive: true }),
      /is not initialised: run "everleaf init"/,
    ],
  ]
  test.each(damages)('%s stops serve', async (_, damage, words) => {
    const bench = await benches.made()
    await damage(bench)
    await expectRefusal(bench, ['serve'], words)
  })

  test('a database without its CAs, and CAs without their passphrase, are not completed by init', async () => {
    const bench = await benches.made()
    await rm(join(bench.data, 'passphrase'))
    await rm(join(bench.data, 'everleaf.db'))
    await expectRefusal(bench, ['init'], /CAs in .* are there without their passphrase: put .*passphrase back/)
    const other = await benches.made()
    await rm(join(other.data, 'authority'), { recursive: true })
    await expectRefusal(other, ['init'], /everleaf\.db is there without its CAs: put .*authority back/)
  })

  test('a data directory that is initialised is not initialised again', async () => {
    await expectRefusal(await benches.made(), ['init'], /holds a CA and a database already; nothing was changed/)
  })

  test('a backup without the CAs that issue is no backup', async () => {
    const bench = await benches.made()
    await rm(join(bench.data, 'authority/issuing-g1.key.pem'))
    await expectRefusal(bench, ['backup', bench.path('other')], /holds no issuing CA with its key/)
    await rm(join(bench.data, 'authority'), { recursive: true })
    await expectRefusal(bench, ['backup', bench.path('other')], /data\/authority/)
  })
})

const scribble = async (file: string, page: number): Promise<void> => {
  const handle = await open(file, 'r+')
  await handle.write(Buffer.alloc(4_096, 0x5a), 0, 4_096, page * 4_096)
  await handle.close()
}

describe.concurrent('a damaged database', () => {
  const damaged =
    /the database .*data\/everleaf\.db is damaged \(.*\): stop the server and put its newest backup in place/
  const database = ({ data }: Bench): string => join(data, 'everleaf.db')

  test.each([
    ['at its start', (file: string) => scribble(file, 0)],
    ['cut off', (file: string) => truncate(file, 8_192)],
  ])('%s stops serve and backup, and restore puts a backup in place', async (_, damage) => {
    const bench = await benches.made()
    await damage(database(bench))
    await expectRefusal(bench, ['serve'], damaged)
    await expectRefusal(bench, ['backup', bench.path('other')], damaged)
    const { code, err } = await bench.everleaf('restore', bench.path('backup'), '--yes')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect((await bench.everleaf('backup', bench.path('other'))).code).toBe(0)
  })

  test('that is empty stops serve and backup', async () => {
    const bench = await benches.made()
    await truncate(database(bench), 0)
    await expectRefusal(bench, ['serve'], damaged)
    await expectRefusal(bench, ['backup', bench.path('other')], damaged)
  })

  test.each([1, 4, 9, 13, 21])(
    'in page %i is found by backup, which names it and leaves nothing behind',
    async (page) => {
      const bench = await benches.made()
      await scribble(database(bench), page)
      await expectRefusal(bench, ['backup', bench.path('other')], damaged)
    },
  )

  test('whose backup is damaged stops restore, and the database stays', async () => {
    const bench = await benches.made()
    await scribble(bench.path('backup/everleaf.db'), 3)
    await expectRefusal(
      bench,
      ['restore', bench.path('backup'), '--yes'],
      /the backup .* is damaged; nothing was changed/,
    )
    await truncate(bench.path('backup/everleaf.db'), 0)
    await expectRefusal(bench, ['restore', bench.path('backup'), '--yes'], /backup\/everleaf\.db/)
  })

  test('that is a directory, or a directory that is a file, stops what needs it', async () => {
    const bench = await benches.made()
    await rm(database(bench))
    await mkdir(database(bench))
    await expectRefusal(bench, ['serve'], /everleaf\.db cannot be used: it cannot be opened/)
    const other = await benches.bare()
    await writeFile(other.data, 'a file')
    await expectRefusal(other, ['init'], /data.*: a part of the path is not a directory/)
  })

  test('of which there is none stops backup, and what is no backup stops restore', async () => {
    const bench = await benches.bare()
    await expectRefusal(
      bench,
      ['backup', bench.path('other')],
      /there is no database .*everleaf\.db|data\/authority holds no authority/,
    )
    await expectRefusal(bench, ['restore', bench.path('nowhere'), '--yes'], /nowhere is no backup: .* is missing/)
    const made = await benches.made()
    await expectRefusal(made, ['backup', made.path('backup')], /backup exists already .*; name a new directory/)
  })
})

describe.concurrent('a server', () => {
  const hold = async (): Promise<{ port: number; close(): void }> => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return { port: typeof address === 'object' && address ? address.port : 0, close: () => server.close() }
  }

  test.each(['device', 'public', 'admin'])(
    'does not start when the port of its %s listener is in use',
    async (name) => {
      const bench = await benches.made()
      const held = await hold()
      const config = JSON.parse(await readFile(bench.config, 'utf8'))
      config.listen[name].port = held.port
      await writeFile(bench.config, JSON.stringify(config))
      expectOneLine(
        await bench.everleaf('serve'),
        new RegExp(`the ${name} listener cannot have 127\\.0\\.0\\.1 port ${held.port}: .*EADDRINUSE`),
      )
      held.close()
    },
  )

  test('does not start, and nothing is restored, while another has the database', async () => {
    const bench = await benches.made()
    const held = lockDatabase(join(bench.data, 'everleaf.db'))
    const words = /another Everleaf process has the database .*everleaf\.db open; stop it first/
    await expectRefusal(bench, ['restore', bench.path('backup'), '--yes'], words)
    expectOneLine(await bench.everleaf('serve'), words)
    held.release()
  })

  test('that is not there is told by every command that needs it', async () => {
    const bench = await benches.made()
    const held = await hold()
    held.close()
    const config = JSON.parse(await readFile(bench.config, 'utf8'))
    config.listen.admin.port = held.port
    await writeFile(bench.config, JSON.stringify(config))
    await writeFile(bench.path('one.pem'), await readFile(join(bench.data, 'authority/root-g1.certificate.pem')))
    const words = new RegExp(`no answer from http://127\\.0\\.0\\.1:${held.port} \\(nothing listens there\\)`)
    for (const argv of [
      ['token', 'create', '--device', 'a'],
      ['certs', 'import', bench.path('one.pem')],
    ])
      await expectRefusal(bench, argv, words)
    await expectRefusal(bench, ['certs', 'import', bench.path('none.pem')], /cannot read .*none\.pem/)
  })
})

const mounts = mounting()

const onDisks = mounts === null ? describe.skip : describe.concurrent
onDisks('a disk', () => {
  /** Runs a command while `data` is a file system of its own, prepared by a script with $1 the bench. */
  const on = (bench: Bench, script: string, argv: string[]): Promise<Ended> => {
    const shell = `set -e; cd "$1"; shift; ${script}; exec "$@"`
    return everleaf(bench.config, argv, [...(mounts ?? []), 'sh', '-c', shell, 'sh', bench.directory])
  }
  const fullWith = (size: string, script = 'true') =>
    `mv data saved 2>/dev/null || true; mkdir data; mount -t tmpfs -o size=${size},mode=700 tmpfs data; ${script}`
  const readOnly = 'mkdir -p data; mount --bind data data; mount -o remount,ro,bind data'

  test.each(['4k', '20k', '100k'])('of %s is too full for init, which says so', async (size) => {
    const bench = await benches.bare()
    expectOneLine(await on(bench, fullWith(size), ['init']), /the disk is full|the disk does not read or write/)
  })

  test('that is full stops serve', async () => {
    const bench = await benches.made()
    const outcome = await on(bench, fullWith('230k', 'cp -r saved/. data'), ['serve'])
    expectOneLine(outcome, /the database .* cannot be used: the disk is full/)
  })

  test('that is full stops backup and restore, which name it and not the other one', async () => {
    const bench = await benches.made()
    const target = bench.path('full/other')
    const small = 'mkdir full; mount -t tmpfs -o size=100k tmpfs full'
    expectOneLine(await on(bench, small, ['backup', target]), /full\/other.*: the disk is full/)
    const restored = await on(bench, fullWith('100k'), ['restore', bench.path('backup'), '--yes'])
    expectOneLine(restored, /data\/everleaf\.db.*: the disk is full/)
  })

  test('that is read-only stops init, serve, backup into it and restore', async () => {
    const bench = await benches.made()
    const cases: Array<[string[], RegExp]> = [
      [['serve'], /data\/listener|everleaf\.db cannot be used: .*writable/],
      [['backup', join(bench.data, 'other')], /other: the file system is read-only/],
      [['restore', bench.path('backup'), '--yes'], /everleaf\.db: the file system is read-only/],
    ]
    const before = await contentsOf(bench.directory)
    for (const [argv, words] of cases) expectOneLine(await on(bench, readOnly, argv), words)
    expect(await contentsOf(bench.directory)).toEqual(before)
    const bare = await benches.bare()
    expectOneLine(await on(bare, readOnly, ['init']), /passphrase: the file system is read-only/)
  })
})
