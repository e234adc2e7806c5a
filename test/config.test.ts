import { chmodSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { configTemplate } from '../src/config/template.ts'
import { formatDuration, parseDuration } from '../src/config/units.ts'
import { adminEndpoint, loadConfig, readSecret } from '../src/config.ts'
import { configFolder } from './support/config-folder.ts'

const day = 86_400_000
const { folder, write, load, refusal } = configFolder()

describe('a configuration', () => {
  it('is complete without a file', () => {
    const config = loadConfig({ environment: { EVERLEAF_DATA: join(folder, 'none') } })
    expect(config.file).toBeNull()
    expect(config.data).toBe(join(folder, 'none'))
    expect(config.store.file).toBe(join(folder, 'none', 'everleaf.db'))
    expect(config.authority.passphrase).toEqual({ file: join(folder, 'none', 'passphrase') })
    expect(config.listen.device).toMatchObject({ host: '0.0.0.0', port: 8443, url: 'https://localhost:8443' })
    expect(config.listen.device.names).toEqual(expect.arrayContaining(['localhost', '127.0.0.1', '::1']))
    expect(config.listen.admin).toMatchObject({ host: '127.0.0.1', port: 8081 })
    expect(config.profiles.device).toMatchObject({ name: 'device', validity: 90 * day })
    expect(config.profiles.device?.renewal).toEqual({ keys: 'rekey', after: 2 / 3, jitter: 0.1, grace: 0, burst: 10 })
    expect(config.profiles.device?.alerts.expiry).toEqual([45, 30, 14, 7, 3, 1].map((days) => days * day))
    expect(config.listenerProfile).toMatchObject({ name: 'listener', validity: 30 * day, keys: ['ec-p256'] })
    expect(config.crl).toEqual({ validity: 7 * day, refresh: day, coalesce: 2000 })
  })

  it('is the same when every line of the written file is switched on', () => {
    const on = configTemplate.replace(/^( *)#(?=\S)/gm, '$1')
    const [everything, nothing] = [load(on), load('data: .')]
    expect(everything).toEqual({
      ...nothing,
      listen: {
        ...nothing.listen,
        device: { ...nothing.listen.device, names: ['localhost', '127.0.0.1', '::1'] },
      },
    })
    expect(load(configTemplate)).toEqual(nothing)
  })

  it('takes headings that were left empty as absent', () => {
    expect(load('data: .\ncrl:\nlisten:\n  device:\n')).toEqual(load('data: .'))
    expect(load('')).toMatchObject({ data: join(folder, 'everleaf-data') })
  })

  it('counts relative paths from its file', () => {
    const config = load('data: state\nauthority: { passphrase: { file: secrets/ca } }\nstore: { file: /var/db }')
    expect(config.data).toBe(join(folder, 'state'))
    expect(config.authority.passphrase).toEqual({ file: join(folder, 'secrets/ca') })
    expect(config.store.file).toBe('/var/db')
    expect(config.publication.directory).toBe(join(folder, 'state', 'published'))
  })

  it('means the data directory that it lies in, not another one inside it', () => {
    mkdirSync(join(folder, 'everleaf-data'))
    expect(load('log: { level: error }', {}).data).toBe(join(folder, 'everleaf-data'))
    const inside = loadConfig({ file: write('log: { level: error }', 'everleaf-data/everleaf.yaml'), environment: {} })
    expect(inside.data).toBe(join(folder, 'everleaf-data'))
  })

  it('counts a relative EVERLEAF_DATA from the working directory, as everything typed there', () => {
    expect(load('data: state', { EVERLEAF_DATA: 'here' }).data).toBe(resolve('here'))
  })

  it('keeps the order of a subject as it was written', () => {
    const config = load('profiles: { laptop: { subject: { O: Acme, CN: "{device}", OU: "{label.site}" } } }')
    expect(Object.keys(config.profiles.laptop?.subject ?? {})).toEqual(['O', 'CN', 'OU'])
    expect(Object.keys(config.profiles)).toEqual(['laptop'])
  })

  it('takes fractions as numbers and as quotients', () => {
    expect(load('profiles: { device: { renewal: { after: 1/2 } } }').profiles.device?.renewal.after).toBe(0.5)
    expect(load('profiles: { device: { renewal: { after: 0.5 } } }').profiles.device?.renewal.after).toBe(0.5)
  })

  it('takes what the environment says over what the file says', () => {
    const config = load('log: { level: warn }', {
      EVERLEAF_LOG_LEVEL: 'debug',
      EVERLEAF_DATA: folder,
      EVERLEAF_LISTEN_DEVICE: '[::]:9443',
      EVERLEAF_LISTEN_ADMIN: '9081',
      EVERLEAF_DEVICE_NAMES: 'Edge.example.com, 10.0.0.1',
      EVERLEAF_DEVICE_URL: 'https://edge.example.com:9443/',
      EVERLEAF_PUBLIC_URL: 'http://edge.example.com',
    })
    expect(config.log.level).toBe('debug')
    expect(config.data).toBe(folder)
    expect(config.listen.device).toMatchObject({
      host: '::',
      port: 9443,
      names: ['edge.example.com', '10.0.0.1'],
      url: 'https://edge.example.com:9443',
    })
    expect(config.listen.admin).toMatchObject({ host: '127.0.0.1', port: 9081 })
    expect(config.listen.public.url).toBe('http://edge.example.com')
  })

  it('is found by EVERLEAF_CONFIG and in the data directory', () => {
    const file = write('log: { level: error }\ndata: .', 'named.yaml')
    expect(loadConfig({ environment: { EVERLEAF_CONFIG: file } }).log.level).toBe('error')
    write('log: { level: fatal }\ndata: .')
    const found = loadConfig({ environment: { EVERLEAF_DATA: folder } })
    expect(found).toMatchObject({ file: join(folder, 'everleaf.yaml'), log: { level: 'fatal' } })
  })
})

describe('a secret', () => {
  it('is refused inside the file, and not repeated', () => {
    for (const text of [
      'authority: { passphrase: hunter2 }',
      'authority: { passphrase: [hunter2] }',
      'events: { webhooks: [{ name: a, url: "https://x", secret: hunter2 }] }',
    ]) {
      const message = refusal(text)
      expect(message).toContain('a secret must not stand in this file')
      expect(message).not.toContain('hunter2')
    }
    const typed = refusal('authority: { passphrase: { flie: hunter2 } }')
    expect(typed).toContain('authority.passphrase: flie: unknown key; did you mean file?')
    expect(typed).not.toContain('hunter2')
  })

  it('is read from a file, a variable or a systemd credential, without its line end', () => {
    const file = write('from a file\n', 'secret')
    chmodSync(file, 0o600)
    expect(readSecret({ file }, 'passphrase', {})).toBe('from a file')
    expect(readSecret({ environment: 'PASS' }, 'passphrase', { PASS: 'from a variable' })).toBe('from a variable')
    expect(readSecret({ credential: 'secret' }, 'passphrase', { CREDENTIALS_DIRECTORY: folder })).toBe('from a file')
  })

  it('that is missing is told by its place', () => {
    const read = (source: Parameters<typeof readSecret>[0]) => () => readSecret(source, 'passphrase', { EMPTY: '' })
    chmodSync(write('open', 'open'), 0o644)
    expect(read({ file: join(folder, 'open') })).toThrow(/everybody may use it \(mode 0644\)/)
    expect(read({ file: join(folder, 'absent') })).toThrow(/cannot read passphrase from file .*absent/)
    expect(read({ environment: 'ABSENT' })).toThrow('no passphrase: environment variable ABSENT is not set')
    expect(read({ environment: 'EMPTY' })).toThrow('no passphrase: environment variable EMPTY is empty')
    expect(read({ credential: 'x' })).toThrow(/systemd credential x: CREDENTIALS_DIRECTORY is not set/)
  })

  it('is not searched for in names that leave the credentials directory', () => {
    expect(refusal('authority: { passphrase: { credential: "../x" } }')).toContain('name of a systemd credential')
    expect(refusal('authority: { passphrase: { credential: ".." } }')).toContain('name of a systemd credential')
  })
})

describe('the admin endpoint', () => {
  it('is this machine where the listener listens everywhere', () => {
    chmodSync(write('token\n', 'admin-token'), 0o600)
    const config = load('data: .\nlisten: { admin: { host: "::" } }')
    expect(adminEndpoint(config, {})).toEqual({ url: 'http://[::1]:8081', token: 'token' })
    const remote = { EVERLEAF_ADMIN_URL: 'https://everleaf.example.com/', EVERLEAF_ADMIN_TOKEN: 'other' }
    expect(adminEndpoint(config, remote)).toEqual({ url: 'https://everleaf.example.com', token: 'other' })
  })
})

describe('a length of time', () => {
  it('reads back as it was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 * 365 * day }), (length) => {
        expect(parseDuration(formatDuration(length))).toBe(length)
      }),
    )
  })

  it('is written in the largest unit that divides it', () => {
    expect([0, 1, 1500, 90_000, 2 * 3_600_000, 90 * day, 730 * day].map(formatDuration)).toEqual([
      '0',
      '1ms',
      '1500ms',
      '90s',
      '2h',
      '90d',
      '2y',
    ])
  })
})
