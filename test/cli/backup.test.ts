import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { backUp } from '../../src/cli/backup-directory.ts'
import { initialise } from '../../src/cli/initialise.ts'
import { restoreFrom } from '../../src/cli/restore-directory.ts'
import { systemClock } from '../../src/clock/system.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { systemRandom } from '../../src/random/system.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { runIn } from '../support/console.ts'

let folder: string
let config: Config
let backup: string
const progress = () => undefined
const ports = { clock: systemClock, random: systemRandom, progress }
const configIn = (name: string) => loadConfig({ environment: { EVERLEAF_DATA: join(folder, name) } })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'everleaf-backup-'))
  await initialise(configIn('data'), ports)
  config = configIn('data')
  backup = join(folder, 'backup')
})
afterEach(() => rm(folder, { recursive: true }))

const device = {
  id: '',
  profile: 'device',
  labels: {},
  state: 'active',
  createdAt: 1,
  lastContactAt: null,
  agentVersion: null,
  lastError: null,
} as const

/** Records a device, as a server would. */
async function record(id: string, where = config): Promise<void> {
  const store = await openSqlite({ file: where.store.file })
  await store.transaction((tx) => tx.devices.put({ ...device, id }))
  await store.close()
}

async function devicesOf(where: Config): Promise<string[]> {
  const store = await openSqlite({ file: where.store.file })
  const devices = await store.devices.list({ limit: 100 })
  await store.close()
  return devices.map(({ id }) => id)
}

describe('everleaf backup', () => {
  it('holds database, CAs and configuration, and neither passphrase nor token', async () => {
    const made = await backUp(config, backup, progress)
    expect((await readdir(backup)).sort()).toEqual(['authority', 'everleaf.db', 'everleaf.yaml'])
    expect(made.files).toContain('authority/issuing-g1.key.pem')
    const secrets = await Promise.all(
      ['passphrase', 'admin-token'].map((name) => readFile(join(config.data, name), 'utf8')),
    )
    for (const file of made.files) {
      const bytes = await readFile(join(backup, file))
      for (const secret of secrets) expect(bytes.includes(secret.trim())).toBe(false)
    }
  })

  it('is taken while a server writes', async () => {
    const store = await openSqlite({ file: config.store.file })
    await store.transaction((tx) => tx.devices.put({ ...device, id: 'during' }))
    await backUp(config, backup, progress)
    await store.close()
    await restoreFrom(configIn('other'), backup, ports)
    expect(await devicesOf(configIn('other'))).toEqual(['during'])
  })

  it('never writes over an older one, and leaves nothing behind when it fails', async () => {
    await backUp(config, backup, progress)
    await expect(backUp(config, backup, progress)).rejects.toMatchObject({ code: 'conflict' })
    await expect(
      backUp({ ...config, store: { file: join(folder, 'absent') } }, join(folder, 'b2'), progress),
    ).rejects.toThrow('absent')
    expect((await readdir(folder)).sort()).toEqual(['backup', 'data'])
  })
})

describe('everleaf restore', () => {
  it('puts the database where the configuration of the backup wants it, and none where that cannot be', async () => {
    const moved = join(config.data, 'everleaf.yaml')
    await writeFile(moved, 'data: .\nstore: { file: inventory/everleaf.db }\n')
    await record('truck-1')
    await mkdir(join(config.data, 'inventory'))
    await rename(config.store.file, join(config.data, 'inventory', 'everleaf.db'))
    await backUp(configIn('data'), backup, progress)
    const reload = () => configIn('other')
    const { database } = await restoreFrom(configIn('other'), backup, { ...ports, reload })
    expect(database).toBe(join(folder, 'other', 'inventory', 'everleaf.db'))
    expect(await devicesOf(configIn('other'))).toEqual(['truck-1'])
    const wrong = () => {
      throw new Error('no such setting')
    }
    await expect(restoreFrom(configIn('third'), backup, { ...ports, reload: wrong })).rejects.toThrow('no such setting')
    expect(await readdir(join(folder, 'third'))).toEqual([])
  })

  it('makes a server again on a new machine, that opens once the passphrase is there', async () => {
    await record('truck-1')
    await backUp(config, backup, progress)
    const other = configIn('other')
    const first = await restoreFrom(other, backup, ports)
    expect(first.authorities).toHaveLength(4)
    expect(first.keys).toContain(join(folder, 'other', 'passphrase'))
    expect(await devicesOf(other)).toEqual(['truck-1'])
    expect((await readdir(other.data)).sort()).toEqual(
      expect.arrayContaining(['admin-token', 'authority', 'everleaf.yaml']),
    )
    await writeFile(join(other.data, 'passphrase'), await readFile(join(config.data, 'passphrase')), { mode: 0o600 })
    expect((await restoreFrom(other, backup, ports)).keys).toBeNull()
  })

  it('keeps the replaced database and takes over what the backup did not know', async () => {
    await record('before')
    await backUp(config, backup, progress)
    await record('after')
    const { replaced, carried } = await restoreFrom(config, backup, ports)
    expect(replaced).toBe(`${config.store.file}.replaced-1`)
    expect(await devicesOf(config)).toEqual(['after', 'before'])
    expect(Object.values(carried).some((count) => count > 0)).toBe(true)
  })

  it('changes nothing where another CA is, where there is no backup, and while the server runs', async () => {
    await backUp(config, backup, progress)
    await initialise(configIn('stranger'), ports)
    await record('kept', configIn('stranger'))
    await expect(restoreFrom(configIn('stranger'), backup, ports)).rejects.toThrow(
      /is another CA than .* nothing was changed/,
    )
    expect(await devicesOf(configIn('stranger'))).toEqual(['kept'])
    await expect(restoreFrom(config, folder, ports)).rejects.toThrow(/is no backup: .*everleaf\.db is missing/)
    const server = await openSqlite({ file: config.store.file })
    await expect(restoreFrom(config, backup, ports)).rejects.toThrow(/stop it first/)
    await server.close()
  })

  it('asks before it replaces, where somebody is there to answer', async () => {
    const file = join(config.data, 'everleaf.yaml')
    expect(await runIn(['--config', file, 'backup', backup])).toMatchObject({ code: 0, err: '' })
    const no = await runIn(['--config', file, 'restore', backup], { answer: 'n' })
    expect(no.code).toBe(1)
    expect(no.questions).toHaveLength(1)
    const yes = await runIn(['--config', file, 'restore', backup], { answer: 'y' })
    expect(yes.code).toBe(0)
    expect(yes.err).toMatch(/copying the database: 100 %/)
    expect(yes.out).toContain(`The replaced database is kept as ${config.store.file}.replaced-1.`)
    expect((await runIn(['--config', file, '--json', 'restore', backup])).code).toBe(0)
  })
})
