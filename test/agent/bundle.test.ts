import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { DeviceServer } from '../fakes/device-server.ts'
import { startServer, temporaryDirectory } from './setup.ts'

const root = resolve(import.meta.dirname, '../..')
const bundle = join(root, 'dist', 'everleaf-agent.mjs')
/** The oldest Node that the agent promises to run on, where the system has one. */
const systemNode = ['/usr/bin/node', '/usr/local/bin/node'].find(existsSync)

interface Outcome {
  code: number | null
  out: string
  error: string
}

interface Start {
  node?: string
  token?: string
  input?: string
}

const start = (argv: readonly string[], { node = process.execPath, token }: Start = {}) => {
  const { EVERLEAF_TOKEN: _, ...environment } = process.env
  return spawn(node, argv, { env: { ...environment, ...(token === undefined ? {} : { EVERLEAF_TOKEN: token }) } })
}

const finished = (child: ReturnType<typeof start>, input = ''): Promise<Outcome> =>
  new Promise((resolve) => {
    let out = ''
    let error = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    child.stderr.on('data', (data) => {
      error += data
    })
    child.on('close', (code) => resolve({ code, out, error }))
    /** A command that reads nothing may be gone before it is given anything. */
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })

const agent = (argv: readonly string[], options: Start = {}) =>
  finished(start([bundle, ...argv], options), options.input)

const enrolArguments = (server: DeviceServer, directory: string) => [
  ...['enroll', '--server', server.url, '--fingerprint', server.fingerprint],
  ...['--device', 'device-1', '--directory', directory],
]

beforeAll(async () => {
  const built = await finished(start([join(root, 'scripts/build.mjs'), '--agent']))
  expect(built).toMatchObject({ code: 0 })
})

describe('the bundle', () => {
  it('is one executable file of 100 kB at most that imports nothing but Node', () => {
    expect(statSync(bundle).size).toBeLessThanOrEqual(100_000)
    expect(statSync(bundle).mode & 0o111).toBe(0o111)
    const text = readFileSync(bundle, 'utf8')
    expect(text.startsWith('#!/usr/bin/env node\n')).toBe(true)
    const wanted = [...text.matchAll(/\b(?:require|import)\(["']([^"']+)["']\)|\bfrom ?["']([^"']+)["']/g)]
    const modules = wanted.map(([, required, imported]) => required ?? imported ?? '')
    expect(modules.length).toBeGreaterThan(3)
    expect(modules.filter((name) => !name.startsWith('node:'))).toEqual([])
    expect(text).toContain('everleaf-agent/')
  })

  it('helps with each command and an example', async () => {
    expect((await agent(['--help'])).out).toContain('everleaf-agent enroll')
    for (const command of ['enroll', 'run', 'renew', 'status']) {
      const { code, out } = await agent([command, '--help'])
      expect(code).toBe(0)
      expect(out).toMatch(new RegExp(`Example.*everleaf-agent ${command} `, 's'))
    }
  })

  it('ends with 2 on wrong usage and 1 on a failure, the reason on stderr', async () => {
    expect(await agent(['fly'])).toMatchObject({
      code: 2,
      out: '',
      error: expect.stringContaining("unknown command 'fly'"),
    })
    expect(await agent(['run', '--token', 'secret'])).toMatchObject({ code: 2 })
    const directory = temporaryDirectory()
    for (const command of ['run', 'renew', 'status']) {
      expect(await agent([command, '--directory', directory])).toMatchObject({
        code: 1,
        out: '',
        error: expect.stringContaining('run enroll first'),
      })
    }
  })

  it('enrols with the token from the environment, renews, and tells its status as JSON', async () => {
    const server = await startServer()
    const directory = temporaryDirectory()
    server.token('token', 'device-1')
    const first = await agent([...enrolArguments(server, directory), '--json'], { token: 'token' })
    expect(first.code).toBe(0)
    expect(JSON.parse(first.out)).toMatchObject({ enrolled: true, already: false, subject: 'CN=device-1' })
    const renewed = await agent(['renew', '--force', '--directory', directory, '--json', '--log-json'])
    expect(JSON.parse(renewed.out)).toMatchObject({ renewed: true, reason: 'forced' })
    const log = renewed.error
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).message)
    expect(log.slice(-3)).toEqual(['switched', 'hooked', 'confirmed'])
    const status = await agent(['status', '--directory', directory, '--json'])
    expect(status.code).toBe(0)
    expect(JSON.parse(status.out)).toMatchObject({
      server: server.url,
      device: 'device-1',
      certificate: { fingerprint: server.certificates[1]?.fingerprint, pair: 2 },
      problem: null,
      renewal: { reason: 'hint', keys: 'rekey' },
      journal: { step: 'confirmed' },
      lastError: null,
      clockBehind: false,
    })
    expect((await agent(['status', '--directory', directory])).out).toMatch(/certificate +CN=device-1/)
    for (const { error } of [first, renewed]) expect(error).not.toMatch(/PRIVATE|token=|"token"/)
  })

  it('takes the token from a file or from stdin', async () => {
    const server = await startServer()
    server.token('in-file', 'device-1')
    server.token('on-stdin', 'device-1')
    const directory = temporaryDirectory()
    const file = join(directory, 'token')
    writeFileSync(file, 'in-file\n')
    const one = await agent([...enrolArguments(server, join(directory, 'one')), '--token-file', file])
    expect(one).toMatchObject({ code: 0, error: expect.stringContaining('confirmed') })
    const two = await agent([...enrolArguments(server, join(directory, 'two')), '--token-file', '-'], {
      input: 'on-stdin\n',
    })
    expect(two).toMatchObject({ code: 0, out: expect.stringContaining('Enrolled: CN=device-1') })
    const none = await agent(enrolArguments(server, join(directory, 'three')))
    expect(none).toMatchObject({ code: 2, error: expect.stringContaining('token') })
  })

  it('reports a status of failure when the pair is gone', async () => {
    const server = await startServer()
    const directory = temporaryDirectory()
    server.token('token', 'device-1')
    await agent(enrolArguments(server, directory), { token: 'token' })
    rmSync(join(directory, 'pairs/1/key.pem'))
    const { code, out, error } = await agent(['status', '--directory', directory, '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ certificate: null, problem: expect.stringContaining('key.pem is missing') })
    expect(error).toContain('key.pem is missing')
  })

  it('says what it cannot write, and where', async () => {
    const server = await startServer()
    const file = join(temporaryDirectory(), 'file')
    writeFileSync(file, '')
    const { code, error } = await agent(enrolArguments(server, join(file, 'sub')), { token: 'token' })
    expect(code).toBe(1)
    expect(error).toMatch(/cannot create .*file\/sub: ENOTDIR/)
    expect(server.calls).toEqual([])
  })

  it('runs, keeps a second one out, renews a certificate of seconds, and stops at SIGTERM', async () => {
    const server = await startServer({ life: 6_000 })
    const directory = temporaryDirectory()
    server.token('token', 'device-1')
    await agent(enrolArguments(server, directory), { token: 'token' })
    const daemon = start([bundle, 'run', '--directory', directory, '--json'])
    const ended = finished(daemon)
    await vi.waitUntil(() => existsSync(join(directory, 'agent.lock')), { timeout: 10_000 })
    const second = await agent(['renew', '--directory', directory])
    expect(second).toMatchObject({ code: 1, error: expect.stringContaining(`process ${daemon.pid}`) })
    await vi.waitUntil(() => server.certificates.filter(({ state }) => state === 'superseded').length >= 2, {
      timeout: 25_000,
      interval: 50,
    })
    daemon.kill('SIGTERM')
    const { code, out, error } = await ended
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ problem: null, journal: { step: expect.any(String) } })
    expect(error).toMatch(/running .*\n.*stopped\n$/s)
    expect(existsSync(join(directory, 'agent.lock'))).toBe(false)
  })

  it('killed hard leaves a lock that stops nobody', async () => {
    const server = await startServer()
    const directory = temporaryDirectory()
    server.token('token', 'device-1')
    await agent(enrolArguments(server, directory), { token: 'token' })
    const daemon = start([bundle, 'run', '--directory', directory])
    const ended = finished(daemon)
    await vi.waitUntil(() => existsSync(join(directory, 'agent.lock')), { timeout: 10_000 })
    daemon.kill('SIGKILL')
    await ended
    expect(await agent(['renew', '--force', '--directory', directory])).toMatchObject({ code: 0 })
  })

  it.skipIf(systemNode === undefined)('runs on the Node of the system too', async () => {
    const server = await startServer()
    const directory = temporaryDirectory()
    server.token('token', 'device-1')
    const node = systemNode ?? ''
    expect(await agent(enrolArguments(server, directory), { token: 'token', node })).toMatchObject({ code: 0 })
    expect(await agent(['renew', '--force', '--directory', directory], { node })).toMatchObject({ code: 0 })
    expect(server.certificates.map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
  })
})
