import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLocalAuthorities } from '../../src/authority/local.ts'
import { createOnce } from '../../src/cli/create-once.ts'
import { initialise } from '../../src/cli/initialise.ts'
import { systemClock } from '../../src/clock/system.ts'
import { loadConfig, readSecret } from '../../src/config.ts'
import { systemRandom } from '../../src/random/system.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { fakeClock } from '../fakes/clock.ts'
import { runIn } from '../support/console.ts'

let folder: string
let data: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'everleaf-init-'))
  data = join(folder, 'data')
})
afterEach(() => rm(folder, { recursive: true }))

const ports = { clock: systemClock, random: systemRandom }
const configHere = (environment: Record<string, string> = {}) =>
  loadConfig({ environment: { EVERLEAF_DATA: data, ...environment } })
const init = () => initialise(configHere(), ports)
const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

/** Opens everything as the server does; the root's fingerprint. */
async function prove(): Promise<string> {
  const config = configHere()
  const passphrase = readSecret(config.authority.passphrase, 'passphrase', {})
  const authorities = await openLocalAuthorities({ directory: join(data, 'authority'), passphrase, clock: fakeClock() })
  const store = await openSqlite({ file: config.store.file })
  await store.close()
  return authorities.issuing.chain.at(-1)?.fingerprint ?? ''
}

/** Every file and its bytes. */
async function contents(): Promise<Record<string, string>> {
  const entries = await readdir(data, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, (await readFile(file)).toString('hex')])),
  )
}

describe('everleaf init', () => {
  it('makes everything that a server needs, closed to others', async () => {
    const made = await init()
    expect(made).toMatchObject({ data, config: join(data, 'everleaf.yaml') })
    expect(await prove()).toBe(made.fingerprint)
    expect(await modeOf(data)).toBe('700')
    for (const name of ['passphrase', 'admin-token', 'everleaf.db', 'authority/issuing-g1.key.pem'])
      expect([name, await modeOf(join(data, name))]).toEqual([name, '600'])
    expect(configHere()).toMatchObject({ file: join(data, 'everleaf.yaml'), data })
  })

  it('refuses to run twice and changes nothing then', async () => {
    await init()
    const before = await contents()
    await expect(init()).rejects.toMatchObject({ code: 'conflict' })
    expect(await contents()).toEqual(before)
  })

  it('goes on where it was cut off, whatever was there', async () => {
    const whole = join(folder, 'whole')
    await initialise(loadConfig({ environment: { EVERLEAF_DATA: whole } }), ports)
    // In the order in which they are made.
    const steps = ['passphrase', 'admin-token', 'everleaf.yaml', 'authority']
    for (let done = 0; done <= steps.length; done++) {
      await rm(data, { recursive: true, force: true })
      await mkdir(data)
      for (const name of steps.slice(0, done)) await copy(join(whole, name), join(data, name))
      const { fingerprint } = await init()
      expect(await prove()).toBe(fingerprint)
      for (const name of steps.slice(0, Math.min(done, 3)))
        expect(await readFile(join(data, name))).toEqual(await readFile(join(whole, name)))
    }
  })

  it('makes one CA, that opens, when two run at once', async () => {
    const outcomes = await Promise.allSettled([init(), init(), init()])
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.fingerprint] : []))
    if (made.length < outcomes.length) await init().catch(() => undefined)
    const fingerprint = await prove()
    for (const each of made) expect(each).toBe(fingerprint)
  })

  it('never gives one of those that run at once another secret', async () => {
    const file = join(folder, 'secret')
    const made = await Promise.all(Array.from({ length: 20 }, (_, index) => createOnce(file, `secret ${index}`)))
    expect(made.filter(Boolean)).toHaveLength(1)
    expect(await readFile(file, 'utf8')).toBe(`secret ${made.indexOf(true)}`)
    expect(await readdir(folder)).toEqual(['secret'])
  })

  it('makes no empty inventory for CAs that have served', async () => {
    await init()
    await mkdir(join(data, 'published', 'truststore'), { recursive: true })
    await rm(join(data, 'everleaf.db'))
    const before = await contents()
    await expect(init()).rejects.toThrow(/everleaf\.db is gone and its CAs have served.*everleaf restore/)
    expect(await contents()).toEqual(before)
  })

  it('does not make a new passphrase or new CAs beside a part of an old server', async () => {
    await init()
    await rm(join(data, 'passphrase'))
    await rm(join(data, 'everleaf.db'))
    await expect(init()).rejects.toThrow(/without their passphrase: put .*passphrase back/)
    await rm(data, { recursive: true })
    await init()
    await rm(join(data, 'authority'), { recursive: true })
    await expect(init()).rejects.toThrow(/without its CAs: put .*authority back/)
  })

  it('writes no passphrase where it comes from elsewhere, and nothing else where that is missing', async () => {
    const file = join(folder, 'everleaf.yaml')
    await writeFile(file, 'data: data\nauthority: { passphrase: { environment: CA_PASSPHRASE_OF_TEST } }\n')
    const config = loadConfig({ file, environment: {} })
    await expect(initialise(config, ports)).rejects.toThrow('environment variable CA_PASSPHRASE_OF_TEST is not set')
    expect(await readdir(data)).not.toContain('authority')
    process.env.CA_PASSPHRASE_OF_TEST = 'a passphrase'
    try {
      await initialise(config, ports)
    } finally {
      delete process.env.CA_PASSPHRASE_OF_TEST
    }
    expect((await readdir(data)).sort()).toEqual(['admin-token', 'authority', 'everleaf.db', 'everleaf.db.lock'])
  })

  it('says what it cannot write', async () => {
    await writeFile(data, 'a file in the way')
    await expect(init()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(data) })
  })

  it('tells as a command what it made, for people and for programs', async () => {
    const file = join(folder, 'everleaf.yaml')
    await writeFile(file, 'data: data\n')
    const first = await runIn(['--config', file, '--json', 'init'])
    expect(JSON.parse(first.out)).toEqual({ data, config: file, fingerprint: await prove() })
    const second = await runIn(['--config', file, 'init'])
    expect(second).toMatchObject({ code: 1, out: '' })
    expect(second.err).toContain('nothing was changed')
  })
})

async function copy(from: string, to: string): Promise<void> {
  if ((await stat(from)).isDirectory()) {
    await mkdir(to, { mode: 0o700 })
    for (const name of await readdir(from)) await copy(join(from, name), join(to, name))
    return
  }
  await writeFile(to, await readFile(from), { mode: 0o600 })
  await chmod(to, 0o600)
}
