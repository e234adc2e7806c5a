import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { runHook } from '../../src/agent/hook.ts'
import { renewOnce } from '../../src/agent/renew.ts'
import { enrolled, makeWorld, openFrom, startServer, temporaryDirectory } from './setup.ts'

const soon = () => AbortSignal.timeout(20_000)
const call = (command: string[], environment: Record<string, string> = {}) => ({
  command,
  environment,
  deadline: soon(),
})

describe('a hook', () => {
  afterEach(() => {
    delete process.env.EVERLEAF_TOKEN
  })

  it('gets its arguments as they are, through no shell', async () => {
    const file = join(temporaryDirectory(), 'arguments')
    const script = 'require("fs").writeFileSync(process.argv[1], JSON.stringify(process.argv.slice(2)))'
    await runHook(call([process.execPath, '-e', script, file, '$HOME', 'a b', '; exit 1']))
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(['$HOME', 'a b', '; exit 1'])
  })

  it('gets the paths of what it is about, and not the token', async () => {
    process.env.EVERLEAF_TOKEN = 'a-secret-token'
    const file = join(temporaryDirectory(), 'environment')
    const script = 'require("fs").writeFileSync(process.argv[1], JSON.stringify(process.env))'
    await runHook(call([process.execPath, '-e', script, file], { EVERLEAF_KEY: '/key.pem' }))
    const environment = JSON.parse(readFileSync(file, 'utf8'))
    expect(environment).toMatchObject({ EVERLEAF_KEY: '/key.pem', PATH: process.env.PATH })
    expect(environment.EVERLEAF_TOKEN).toBeUndefined()
  })

  it('fails with its exit code, its signal, or the reason why it did not start', async () => {
    await expect(runHook(call(['/bin/sh', '-c', 'exit 3']))).rejects.toThrow('hook /bin/sh exited with 3')
    await expect(runHook(call(['/bin/sh', '-c', 'kill -TERM $$']))).rejects.toThrow('hook /bin/sh was ended by SIGTERM')
    await expect(runHook(call(['/nonexistent/program']))).rejects.toMatchObject({ code: 'hook' })
  })

  it('is killed at its deadline together with what it started', async () => {
    const file = join(temporaryDirectory(), 'child')
    const stop = new AbortController()
    const running = runHook({
      command: ['/bin/sh', '-c', `sleep 60 & echo $! > ${file}; wait`],
      environment: {},
      deadline: stop.signal,
    })
    await vi.waitUntil(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'), { timeout: 10_000 })
    const child = Number(readFileSync(file, 'utf8'))
    stop.abort()
    await expect(running).rejects.toThrow(/took too long and was killed/)
    const state = () => {
      const path = `/proc/${child}/stat`
      return existsSync(path) ? readFileSync(path, 'utf8').split(' ')[2] : 'gone'
    }
    await vi.waitUntil(() => ['gone', 'Z'].includes(state() ?? ''), { timeout: 10_000 })
  })

  it('finds complete files at its paths', async () => {
    const server = await startServer()
    const world = makeWorld()
    const seen: string[] = []
    world.onHook.run = async ({ environment }) => {
      for (const name of ['EVERLEAF_CERTIFICATE', 'EVERLEAF_KEY', 'EVERLEAF_CHAIN', 'EVERLEAF_TRUST_ANCHORS']) {
        seen.push(readFileSync(environment[name] ?? '', 'utf8').split('\n')[0] ?? '')
      }
    }
    await enrolled(server, world, { hook: ['reload'] })
    await renewOnce(openFrom(world), { force: true })
    const once = ['CERTIFICATE', 'PRIVATE KEY', 'CERTIFICATE', 'CERTIFICATE'].map((label) => `-----BEGIN ${label}-----`)
    expect(seen).toEqual([...once, ...once])
  })
})
