import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { enrolAgent } from '../../src/agent/enrol.ts'
import { loadJournal } from '../../src/agent/journal.ts'
import { keyTypeOf } from '../../src/agent/keys.ts'
import { keyTypes, loadSettings, saveSettings } from '../../src/agent/settings.ts'
import { flyingClock } from '../fakes/agent-clock.ts'
import type { DeviceServer, Fault } from '../fakes/device-server.ts'
import { makeAuthority } from '../support/certificates.ts'
import { requireTool } from '../support/tools.ts'
import { enrolled, inUse, makeWorld, openFrom, settingsFor, startServer, type TestWorld } from './setup.ts'

const enrol = (
  server: DeviceServer,
  world: TestWorld,
  change: Parameters<typeof settingsFor>[1] = {},
  token = 'token',
) => enrolAgent(world, { settings: settingsFor(server, change), token, force: false })

const tokensSeen = (server: DeviceServer) => server.calls.filter(({ authorization }) => authorization !== null)

describe('an enrolment', () => {
  it('finds the root by its fingerprint, gets a certificate, proves it and puts it in use', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair, already } = await enrolled(server, world).then(() => ({ pair: inUse(world), already: false }))
    expect(already).toBe(false)
    expect(pair.leaf.subjectText).toBe('CN=device-1')
    expect(server.calls.map(({ operation }) => operation)).toEqual([
      'cacerts',
      'cacerts',
      'simpleenroll',
      'check-in',
      'trust-anchors',
    ])
    expect(server.certificates.map(({ state }) => state)).toEqual(['confirmed'])
    const directory = world.place.directory
    expect(statSync(join(directory, 'pairs/1/key.pem')).mode & 0o777).toBe(0o600)
    expect(statSync(join(directory, 'pairs')).mode & 0o777).toBe(0o700)
  })

  it.runIf(requireTool('openssl'))('leaves files that openssl verifies as a chain to the pinned root', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    const file = (name: string) => join(world.place.directory, name)
    const verified = execFileSync('openssl', [
      ...['verify', '-purpose', 'sslclient', '-CAfile', file('trust-anchors.pem')],
      ...['-untrusted', file('current/chain.pem'), file('current/certificate.pem')],
    ])
    expect(verified.toString()).toMatch(/: OK/)
  })

  it.each(keyTypes)('makes a key of the kind %s', async (key) => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world, { key })
    expect(keyTypeOf(inUse(world).key)).toBe(key)
  })

  it('works without a device name: the token tells the server who it is', async () => {
    const server = await startServer()
    const world = makeWorld()
    server.token('token', 'named-by-token')
    const { pair } = await enrol(server, world, { device: null })
    expect(pair.leaf.subjectText).toBe('CN=named-by-token')
  })

  it('works under a label and over TLS 1.2 and 1.3 alone', async () => {
    for (const options of [{ label: 'pumps' }, { minimumTls: 'TLSv1.3' as const }]) {
      const server = await startServer(options)
      const world = makeWorld()
      await enrolled(server, world, { label: options.label ?? null })
      expect(inUse(world).leaf.subjectText).toBe('CN=device-1')
    }
  })

  it('is done already the second time, without a word to the server', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    server.calls = []
    expect(await enrol(server, world, {}, 'another')).toMatchObject({ already: true })
    expect(server.calls).toEqual([])
  })

  it('a second time leaves the settings to the operator, a wrong root under force too', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world, { hook: ['reload'] })
    const { disk, directory } = world.place
    const settings = { ...settingsFor(server), hook: ['reload', 'mine'], hookTimeout: 300 }
    saveSettings(disk, directory, settings)
    await enrolAgent(world, { settings: settingsFor(server), token: null, force: false })
    expect(loadSettings(disk, directory)).toEqual(settings)
    const wrong = { ...settingsFor(server), fingerprint: 'ab'.repeat(32) }
    await expect(enrolAgent(world, { settings: wrong, token: 'x', force: true })).rejects.toThrow(/pinned fingerprint/)
    expect(loadSettings(disk, directory)).toEqual(settings)
  })

  it('under another root that failed on its way finds that root the next time', async () => {
    const old = await startServer()
    const world = makeWorld()
    await enrolled(old, world)
    const rebuilt = await startServer()
    const settings = { ...settingsFor(rebuilt), server: old.url }
    old.fail('cacerts', 'drop')
    const force = { settings, token: old.token('t', 'device-1'), force: true }
    await expect(enrolAgent(world, force)).rejects.toMatchObject({ code: 'network' })
    await expect(enrolAgent(world, force)).rejects.toThrow(/pinned fingerprint/)
  })

  it('with force gets another certificate and keeps the present one until the new one is proven', async () => {
    const server = await startServer()
    const world = makeWorld()
    const { pair: first } = await enrolled(server, world)
    server.fail('simpleenroll', { status: 503 })
    const settings = settingsFor(server)
    const again = () => enrolAgent(world, { settings, token: server.token('second', 'device-1'), force: true })
    await expect(again()).rejects.toThrow(/503/)
    expect(inUse(world).leaf.fingerprint).toBe(first.leaf.fingerprint)
    const { pair } = await again()
    expect(pair.leaf.fingerprint).toBe(server.certificates[1]?.fingerprint)
    expect(server.certificates).toHaveLength(2)
  })
})

describe('an enrolment after a failure', () => {
  const faults: Fault[] = [
    'drop',
    'drop answer',
    'cut',
    'garbage',
    'huge',
    { status: 503, retryAfter: '1' },
    { status: 202 },
  ]

  it.each(faults)(
    '(%j at simpleenroll) goes on with the same key and token and gets one certificate',
    async (fault) => {
      const server = await startServer()
      const world = makeWorld()
      server.token('token', 'device-1')
      server.fail('simpleenroll', fault)
      await expect(enrol(server, world)).rejects.toThrow()
      const key = readFileSync(join(world.place.directory, 'pairs/1/key.pem'), 'utf8')
      expect(existsSync(join(world.place.directory, 'current'))).toBe(false)
      await enrol(server, world)
      expect(inUse(world).keyPem).toBe(key)
      expect(server.certificates).toHaveLength(1)
    },
  )

  it('keeps its key for another token when the first one is refused', async () => {
    const server = await startServer()
    const world = makeWorld()
    await expect(enrol(server, world, {}, 'wrong')).rejects.toMatchObject({ code: 'refused' })
    const key = readFileSync(join(world.place.directory, 'pairs/1/key.pem'), 'utf8')
    server.token('right', 'device-1')
    await enrol(server, world, {}, 'right')
    expect(inUse(world).keyPem).toBe(key)
  })

  it('makes another key when another kind is asked for', async () => {
    const server = await startServer()
    const world = makeWorld()
    await expect(enrol(server, world, {}, 'wrong')).rejects.toThrow()
    server.token('token', 'device-1')
    await enrol(server, world, { key: 'ec-p384' })
    expect(keyTypeOf(inUse(world).key)).toBe('ec-p384')
  })

  it('needs the token only as long as there is no certificate', async () => {
    const server = await startServer()
    const world = makeWorld()
    server.token('token', 'device-1')
    server.fail('check-in', 'drop')
    await expect(enrol(server, world)).rejects.toMatchObject({ code: 'network' })
    await enrolAgent(world, { settings: settingsFor(server), token: null, force: false })
    expect(server.certificates.map(({ state }) => state)).toEqual(['confirmed'])
  })

  it('names the missing token', async () => {
    const server = await startServer()
    const settings = settingsFor(server)
    await expect(enrolAgent(makeWorld(), { settings, token: null, force: false })).rejects.toMatchObject({
      code: 'usage',
    })
  })

  it('refuses a certificate for another key than the one on disk', async () => {
    const server = await startServer()
    const world = makeWorld()
    server.token('token', 'device-1')
    server.fail('simpleenroll', 'wrong certificate')
    await expect(enrol(server, world)).rejects.toThrow(/for another key/)
    expect(loadJournal(world.place.disk, world.place.directory)?.step).toBe('requested')
  })

  it('refuses to move a directory to another server', async () => {
    const server = await startServer()
    const other = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    await expect(enrol(other, world)).rejects.toThrow(/is enrolled at .* use another directory/)
    expect(tokensSeen(other)).toEqual([])
  })
})

describe('the token goes to nobody but the server that was pinned', () => {
  it('not to a server without the pinned root', async () => {
    const server = await startServer()
    const other = await startServer()
    await expect(enrol(server, makeWorld(), { fingerprint: other.fingerprint })).rejects.toMatchObject({
      code: 'untrusted',
    })
    expect(tokensSeen(server)).toEqual([])
  })

  it('not to a server that shows the pinned root and has a certificate of another one', async () => {
    const server = await startServer()
    server.token('token', 'device-1')
    const span = { notBefore: Date.now() - 1_000_000, notAfter: Date.now() + 1_000_000_000 }
    server.present(makeAuthority({ name: 'Fake Root', ...span }))
    await expect(enrol(server, makeWorld())).rejects.toMatchObject({ code: 'untrusted' })
    expect(tokensSeen(server)).toEqual([])
  })

  it('not to a server whose certificate is for another name', async () => {
    const server = await startServer()
    server.present(server.issuing, { name: 'elsewhere.example' })
    await expect(enrol(server, makeWorld())).rejects.toMatchObject({ code: 'untrusted' })
    expect(tokensSeen(server)).toEqual([])
  })

  it('not to a server whose certificate has ended', async () => {
    const server = await startServer()
    server.present(server.issuing, { notBefore: Date.now() - 50_000_000, notAfter: Date.now() - 10_000 })
    await expect(enrol(server, makeWorld())).rejects.toMatchObject({ code: 'untrusted' })
    expect(tokensSeen(server)).toEqual([])
  })

  it('and is in no file and no log line', async () => {
    const server = await startServer()
    const world = makeWorld()
    server.token('a-secret-token', 'device-1')
    await enrol(server, world, {}, 'a-secret-token')
    const { directory } = world.place
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    expect(files.length).toBeGreaterThan(5)
    const texts = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'))
    const written = [...texts, ...world.messages, JSON.stringify(world.details)].join()
    expect(written).not.toContain('a-secret-token')
    expect([...world.messages, JSON.stringify(world.details)].join()).not.toContain('PRIVATE KEY')
  })
})

describe('a device without a battery for its clock', () => {
  const year1970 = () => flyingClock({ start: 1_000 })

  it('enrols by the time that the pinned root proves', async () => {
    const server = await startServer()
    const world = makeWorld({ clock: year1970() })
    await enrolled(server, world)
    expect(inUse(world).leaf.subjectText).toBe('CN=device-1')
    const { time } = openFrom(world)
    expect(time.behind()).toBe(true)
    expect(time.floor()).toBe(inUse(world).leaf.notBefore)
  })

  it('is not fooled by another authority, another name or an end in the past of what is proven', async () => {
    const server = await startServer()
    const span = { notBefore: Date.now() - 1_000_000, notAfter: Date.now() + 1_000_000_000 }
    const bad = [
      () => server.present(makeAuthority({ name: 'Fake Root', ...span })),
      () => server.present(server.issuing, { name: 'elsewhere.example' }),
      () => server.present(server.issuing, { notBefore: 1_000, notAfter: server.root.parsed.notBefore - 1_000 }),
    ]
    for (const present of bad) {
      present()
      await expect(enrol(server, makeWorld({ clock: year1970() }))).rejects.toMatchObject({ code: 'untrusted' })
      expect(tokensSeen(server)).toEqual([])
    }
  })

  it('loses the floor with its notes only: the certificates prove it again', async () => {
    const server = await startServer()
    const world = makeWorld()
    await enrolled(server, world)
    writeFileSync(join(world.place.directory, 'state.json'), 'damaged')
    expect(openFrom(world).time.floor()).toBe(inUse(world).leaf.notBefore)
    expect(world.messages).toContain('notes are lost')
  })
})
