import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/** A clone with a lock file, and an npm, a runtime and a build of a few lines that write down what they were asked for. */
let clone: string
let bin: string
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'everleaf-setup-'))
  bin = join(clone, 'bin')
  for (const folder of ['scripts', 'src/agent', 'src/protocol', 'bin'])
    mkdirSync(join(clone, folder), { recursive: true })
  cpSync(resolve(import.meta.dirname, '../../scripts/setup.mjs'), join(clone, 'scripts/setup.mjs'))
  write('package.json', JSON.stringify({ devDependencies: { node: '24.0.0' } }))
  lock({ vitest: '1.0.0' })
  write('scripts/build.mjs', '')
  write('src/agent/main.ts', '')
  program(
    'bin/npm',
    'echo "npm $*" >> calls; mkdir -p node_modules/.bin node_modules/node; cp package-lock.json node_modules/.package-lock.json; cp bin/runtime node_modules/.bin/node',
  )
  program(
    'bin/runtime',
    'case "$1" in --version) echo v24.0.0;; *) echo "build $*" >> calls; mkdir -p dist; : > dist/everleaf-agent.mjs;; esac',
  )
  for (const name of ['cp', 'mkdir']) symlinkSync(`/bin/${name}`, join(bin, name))
})
afterEach(() => rmSync(clone, { recursive: true }))

const write = (file: string, text: string) => writeFileSync(join(clone, file), text)
const program = (file: string, body: string) => {
  write(file, `#!/bin/sh\n${body}\n`)
  chmodSync(join(clone, file), 0o755)
}
const lock = (packages: Record<string, string>) =>
  write(
    'package-lock.json',
    JSON.stringify({
      packages: {
        '': {},
        ...Object.fromEntries(Object.entries(packages).map(([name, version]) => [`node_modules/${name}`, { version }])),
        'node_modules/for-another-system': { version: '1.0.0', optional: true },
      },
    }),
  )
const calls = (): string[] =>
  existsSync(join(clone, 'calls')) ? readFileSync(join(clone, 'calls'), 'utf8').trimEnd().split('\n') : []
const setup = (...args: string[]) => {
  rmSync(join(clone, 'calls'), { force: true })
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs', ...args], {
    cwd: clone,
    env: { PATH: bin },
    encoding: 'utf8',
  })
  return { status, stdout, stderr, calls: calls() }
}

describe('the set-up', () => {
  it('installs packages and builds the agent in a clean clone, and says nothing on stdout', () => {
    const { status, stdout, stderr, calls } = setup()
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toContain('installing npm packages')
    expect(calls).toEqual([
      'npm ci --include=dev --include=optional --no-audit --no-fund --loglevel=error',
      'build scripts/build.mjs --agent',
    ])
  })

  it('is silent and calls nobody when there is nothing to do', () => {
    setup()
    expect(setup()).toEqual({ status: 0, stdout: '', stderr: '', calls: [] })
  })

  it('installs again when the lock file changed', () => {
    setup()
    lock({ vitest: '2.0.0' })
    expect(setup().calls[0]).toMatch(/^npm ci/)
  })

  it('takes over what was installed by hand, where it is what the lock file says', () => {
    setup()
    rmSync(join(clone, 'node_modules/.everleaf-setup'))
    expect(setup()).toEqual({ status: 0, stdout: '', stderr: '', calls: [] })
    lock({ vitest: '2.0.0' })
    rmSync(join(clone, 'node_modules/.everleaf-setup'))
    expect(setup().calls[0]).toMatch(/^npm ci/)
  })

  it('builds the agent again when a source of it is newer', () => {
    setup()
    const later = new Date(Date.now() + 10_000)
    utimesSync(join(clone, 'src/agent/main.ts'), later, later)
    expect(setup().calls).toEqual(['build scripts/build.mjs --agent'])
  })

  it('fetches the runtime by itself where npm held its install script back', () => {
    program(
      'bin/npm',
      'mkdir -p node_modules/.bin node_modules/node; cp package-lock.json node_modules/.package-lock.json; cp bin/install.js node_modules/node/installArchSpecificPackage.js',
    )
    write('bin/install.js', "require('fs').copyFileSync('../../bin/runtime', '../.bin/node')")
    const { status, stderr } = setup()
    expect(status).toBe(0)
    expect(stderr).toContain('fetching Node 24.0.0')
  })

  it('refuses a runtime of another version', () => {
    program('bin/runtime', 'echo v22.1.0')
    const { status, stderr } = setup()
    expect(status).toBe(1)
    expect(stderr).toContain('node_modules/.bin/node is v22.1.0, not v24.0.0: remove node_modules and try again')
  })

  it('stops with the reason when npm fails, and tries again the next time', () => {
    program('bin/npm', 'echo no network >&2; exit 7')
    const failed = setup()
    expect(failed.status).toBe(1)
    expect(failed.stderr).toMatch(/no network\n.*"npm ci" failed with exit 7/)
    expect(setup().status).toBe(1)
  })

  it('prints the command to type where programs are missing and it may not install them', () => {
    setup()
    const { status, stderr } = setup('--tests')
    expect(status).toBe(0)
    expect(stderr).toMatch(/missing: .*openssl/)
    expect(stderr).toMatch(/ {2}sudo apt-get install --no-install-recommends .*openssl/)
  })
})
