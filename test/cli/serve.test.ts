import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { stopSignal } from '../../src/cli/stop-signal.ts'
import { fakeClock } from '../fakes/clock.ts'

const main = resolve(import.meta.dirname, '../../src/main.ts')
let data: string
let processes: ChildProcess[]
beforeEach(async () => {
  data = join(await mkdtemp(join(tmpdir(), 'everleaf-serve-')), 'data')
  processes = []
})
afterEach(async () => {
  for (const child of processes)
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  await rm(join(data, '..'), { recursive: true })
})

interface Running {
  child: ChildProcess
  out(): string
  err(): string
  /** Resolves with the exit code, or the signal. */
  ended: Promise<number | string>
}

function start(argv: readonly string[], environment: Record<string, string> = {}, log?: number): Running {
  const listen = '127.0.0.1:0'
  const child = spawn(process.execPath, [main, ...argv], {
    env: {
      PATH: process.env.PATH,
      EVERLEAF_DATA: data,
      EVERLEAF_LISTEN_DEVICE: listen,
      EVERLEAF_LISTEN_PUBLIC: listen,
      EVERLEAF_LISTEN_ADMIN: listen,
      ...environment,
    },
    cwd: join(data, '..'),
    stdio: ['pipe', 'pipe', log ?? 'pipe'],
  })
  processes.push(child)
  let [out, err] = ['', '']
  child.stdout?.on('data', (text) => {
    out += text
  })
  child.stderr?.on('data', (text) => {
    err += text
  })
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  return { child, out: () => out, err: () => err, ended }
}

/** The server, once it said where it is and can do its work. */
async function serving(argv: readonly string[], environment: Record<string, string> = {}, log?: number) {
  const server = start(['--json', 'serve', ...argv], environment, log)
  await Promise.race([
    vi.waitUntil(() => server.out().includes('\n'), { timeout: 20_000 }),
    server.ended.then((code) => Promise.reject(new Error(`ended with ${code}: ${server.err()}`))),
  ])
  const told = JSON.parse(server.out().split('\n')[0] ?? '')
  const isReady = async () => (await fetch(`http://${told.addresses.admin}/readyz`)).ok
  await vi.waitUntil(isReady, { timeout: 20_000 })
  return { ...server, told }
}

describe('everleaf serve', () => {
  it('goes on when nobody reads its log any more', async () => {
    const { child, told, ended } = await serving(['--init'])
    child.stderr?.destroy()
    const stranger = async () => (await fetch(`http://${told.addresses.admin}/api/v1/status`)).status
    for (let request = 0; request < 3; request += 1) expect(await stranger()).toBe(401)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  it('goes on when the disk of its log is full', async () => {
    const full = openSync('/dev/full', 'w')
    const { child, told, ended } = await serving(['--init'], {}, full)
    closeSync(full)
    expect((await fetch(`http://${told.addresses.admin}/api/v1/status`)).status).toBe(401)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })
})

describe('everleaf serve --init', () => {
  it('makes a server where nothing is, tells where it listens and how to enrol, and stops cleanly', async () => {
    const { told, child, ended, err } = await serving(['--init'])
    for (const address of Object.values(told.addresses)) expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    expect(told.enrolment.command).toMatch(
      new RegExp(
        `^EVERLEAF_TOKEN=\\S+ node dist/everleaf-agent\\.mjs enroll --server \\S+ --fingerprint ${told.fingerprint} --device device-1 `,
      ),
    )
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(err()).toContain('stopping')
    const again = await serving(['--init'])
    expect(again.told.fingerprint).toBe(told.fingerprint)
    again.child.kill('SIGINT')
    expect(await again.ended).toBe(0)
  })

  it('is reached by the commands with no more than the data directory', async () => {
    const { told } = await serving(['--init'])
    const port = told.addresses.admin.split(':').at(-1)
    const status = start(['--json', 'status'], { EVERLEAF_LISTEN_ADMIN: `127.0.0.1:${port}` })
    expect(await status.ended).toBe(0)
    expect(JSON.parse(status.out())).toMatchObject({ ready: true, fingerprint: told.fingerprint, profiles: ['device'] })
  })

  it('lets no second server at the same data', async () => {
    await serving(['--init'])
    const second = start(['serve', '--init'])
    expect(await second.ended).toBe(1)
    expect(second.err()).toMatch(/another Everleaf process has the database .* open/)
  })

  it('says which port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : 0
    const server = start(['serve', '--init'], { EVERLEAF_LISTEN_PUBLIC: `127.0.0.1:${port}` })
    expect(await server.ended).toBe(1)
    expect(server.err()).toContain(String(port))
    expect(server.err()).not.toMatch(/\n\s+at /)
    other.close()
  })
})

describe('everleaf serve', () => {
  it('makes nothing by itself and says how to begin', async () => {
    const server = start(['serve'])
    expect(await server.ended).toBe(1)
    expect(server.err()).toBe(`everleaf: ${data} is not initialised: run "everleaf init" or "everleaf serve --init"\n`)
    expect(existsSync(data)).toBe(false)
  })

  it('keeps enrolment tokens out of the output of a service', async () => {
    expect(await start(['init']).ended).toBe(0)
    const { told } = await serving([])
    expect(told.enrolment).toBeNull()
  })

  it('tells a wrong passphrase without a stack', async () => {
    expect(await start(['init']).ended).toBe(0)
    await writeFile(join(data, 'passphrase'), 'not the passphrase\n')
    const server = start(['serve'])
    expect(await server.ended).toBe(1)
    expect(server.err()).toMatch(/passphrase/)
    expect(server.err()).not.toMatch(/\n\s+at /)
  })
})

describe('a stop signal', () => {
  it('resolves once, takes its echo from npm for the same one, and ends the process at a second one', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
      throw new Error(`exit ${code}`)
    })
    const clock = fakeClock()
    const stop = stopSignal(clock)
    try {
      process.emit('SIGINT')
      await stop.received
      await clock.advance(100)
      process.emit('SIGINT')
      expect(exit).not.toHaveBeenCalled()
      await clock.advance(1000)
      expect(() => process.emit('SIGTERM')).toThrow('exit 143')
    } finally {
      stop.release()
      exit.mockRestore()
    }
    expect(process.listenerCount('SIGTERM')).toBe(0)
  })
})
