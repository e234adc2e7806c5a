import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cyclesIn, faultsOf, graphOf, type Plan, type Rule } from './support/house.ts'

const ports = ['authority', 'clock', 'events', 'gateway', 'listener', 'publication', 'queue', 'random', 'store']
const portTypes = ports.map((role) => `port ${role}:type`)

/** An adapter sees its own port, time and chance, what bytes mean, and one library. */
const adapter = (role: string, packages: readonly string[] = []): Rule => ({
  parts: [
    `port ${role}:type`,
    'port clock:type',
    'port random:type',
    'model:type',
    'errors',
    'pki',
    'protocol',
    'durable-files',
    'mutex',
  ],
  node: ['*'],
  packages,
})

/** What the composition root sees: adapters too, and never the agent. */
const everything = [
  ...['config', 'lifecycle', 'policy', 'jobs', 'api', 'pki', 'protocol', 'model:type', 'errors', 'durable-files'],
  ...['mutex', 'version', 'events/catalogue'],
  ...ports,
  ...portTypes,
]

/** What each part of src may import. The plan's table; another import is a mistake or a change of the plan. */
const table: Record<string, Rule> = {
  protocol: { parts: [], node: [], packages: [] },
  pki: { parts: ['protocol', 'model:type', 'errors'], node: ['node:crypto'], packages: [] },
  model: { parts: ['pki:type'], node: [], packages: [] },
  errors: { parts: ['pki:type'], node: [], packages: [] },
  policy: { parts: ['model:type', 'pki'], node: [], packages: [] },
  ...Object.fromEntries(
    ports.map((role) => [`port ${role}`, { parts: ['model:type', 'pki:type'], node: [], packages: [] }]),
  ),
  'events/catalogue': { parts: ['model:type', 'pki'], node: [], packages: ['zod'] },
  lifecycle: {
    parts: [...portTypes, 'events/catalogue:type', 'policy', 'pki', 'protocol', 'model:type', 'errors'],
    node: [],
    packages: [],
  },
  jobs: {
    parts: ['lifecycle', 'port queue:type', 'port clock:type', 'model:type', 'errors'],
    node: [],
    packages: ['node-cron'],
  },
  api: {
    parts: ['protocol', 'lifecycle', 'policy', ...portTypes, 'events/catalogue:type', 'pki', 'model:type', 'errors'],
    node: ['*'],
    packages: ['fastify', '@fastify/swagger', 'fastify-type-provider-zod', 'zod', 'prom-client'],
  },
  authority: adapter('authority'),
  clock: adapter('clock'),
  events: { ...adapter('events'), parts: [...adapter('events').parts, 'events/catalogue'] },
  gateway: adapter('gateway'),
  listener: adapter('listener'),
  publication: adapter('publication'),
  queue: adapter('queue'),
  random: adapter('random'),
  store: adapter('store'),
  'durable-files': { parts: ['errors'], node: ['*'], packages: [] },
  mutex: { parts: [], node: [], packages: [] },
  version: { parts: [], node: [], packages: [] },
  config: { parts: ['model:type', 'errors'], node: ['*'], packages: ['yaml', 'zod'] },
  agent: { parts: ['protocol'], node: ['*'], packages: [] },
  daemon: { parts: everything, node: ['*'], packages: ['pino', 'prom-client'] },
  cli: {
    parts: ['daemon', ...everything.filter((part) => part !== 'api')],
    node: ['*'],
    packages: ['commander', 'pino'],
  },
  main: { parts: ['cli', 'clock'], node: [], packages: [] },
}

const plan: Plan = {
  table,
  ports,
  systemTime: ['clock/system.ts', 'random/system.ts', 'agent/clock.ts'],
  longestFile: 350,
  outside: { 'version.ts': ['../package.json'] },
}

const root = resolve(import.meta.dirname, '..')
const filesUnder = (folder: string): string[] =>
  !existsSync(join(root, folder))
    ? []
    : readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(join(root, folder), join(entry.parentPath, entry.name)))
const source = new Map(
  filesUnder('src')
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, readFileSync(join(root, 'src', file), 'utf8')]),
)

describe('the house', () => {
  it('has every file of src keep to the table of imports, to the clock and to its length', () => {
    expect([...source].flatMap(([file, text]) => faultsOf(file, text, plan))).toEqual([])
  })

  it('has no cycle of imports', () => {
    expect(cyclesIn(graphOf(source))).toEqual([])
  })

  it('has no other kind of code in src than TypeScript and SQL', () => {
    expect(filesUnder('src').filter((file) => !/\.(?:ts|sql)$/.test(file))).toEqual([])
  })

  it('has files of at most 350 lines in test, scripts and demo too', () => {
    const long = ['test', 'scripts', 'demo'].flatMap((folder) =>
      filesUnder(folder)
        .filter((file) => /\.m?ts$|\.mjs$/.test(file) && !file.startsWith('fixtures/'))
        .map((file) => ({
          file: `${folder}/${file}`,
          lines: readFileSync(join(root, folder, file), 'utf8').split('\n').length - 1,
        }))
        .filter(({ lines }) => lines > plan.longestFile),
    )
    expect(long).toEqual([])
  })
})

describe('the checker refuses', () => {
  const mistakes: Array<[string, string, string, string]> = [
    [
      'a value imported from a port by a verb',
      'lifecycle/enrol.ts',
      "import { Store } from '../store/store.ts'",
      'may not import port store other than by "import type"',
    ],
    [
      'an adapter imported by a verb',
      'lifecycle/enrol.ts',
      "import type { Sqlite } from '../store/sqlite.ts'",
      'lifecycle may not import store',
    ],
    [
      'another role imported by an adapter',
      'store/sqlite.ts',
      "import type { Gateway } from '../gateway/gateway.ts'",
      'store may not import port gateway',
    ],
    [
      'an import over several lines',
      'policy/due.ts',
      "import {\n  now,\n  later,\n} from '../clock/system.ts'",
      'policy/due.ts:4: policy may not import clock',
    ],
    ['a re-export', 'protocol/der.ts', "export * from '../errors.ts'", 'protocol may not import errors'],
    ['an import for its effect', 'protocol/der.ts', "import '../errors.ts'", 'protocol may not import errors'],
    ['a dynamic import', 'policy/due.ts', "const later = await import('../config.ts')", 'policy may not import config'],
    [
      'an import computed at run time',
      'cli/serve.ts',
      `await import(\`./\${name}.ts\`)`,
      'import of something other than a literal',
    ],
    ['require', 'cli/serve.ts', "require('left-pad')", 'cli may not import the package left-pad'],
    [
      'Node in protocol',
      'protocol/der.ts',
      "import type { Buffer } from 'node:buffer'",
      'protocol may not import node:buffer',
    ],
    [
      'Node in policy',
      'policy/due.ts',
      "import { createHash } from 'node:crypto'",
      'policy may not import node:crypto',
    ],
    ['a package in the agent', 'agent/run.ts', "import { z } from 'zod'", 'agent may not import the package zod'],
    [
      'errors in the agent',
      'agent/run.ts',
      "import type { ErrorCode } from '../errors.ts'",
      'agent may not import errors',
    ],
    ['a file outside src', 'cli/serve.ts', "import { fake } from '../../test/fakes/clock.ts'", 'leaves src'],
    ['an unknown folder', 'utils/text.ts', 'export const a = 1', 'utils is not in the plan'],
    ['Date.now', 'lifecycle/enrol.ts', 'const now = Date.now()', 'Date.now outside the clock'],
    ['Date.now as a value', 'lifecycle/enrol.ts', 'const now = Date.now', 'Date.now outside the clock'],
    ['new Date()', 'store/sqlite.ts', 'const now = new Date( )', 'new Date() outside the clock'],
    ['new Date without parentheses', 'store/sqlite.ts', 'const now = new Date', 'new Date() outside the clock'],
    ['Date()', 'store/sqlite.ts', 'const now = Date()', 'Date() outside the clock'],
    [
      'setTimeout in a template',
      'jobs/scheduler.ts',
      `const a = \`b \${setTimeout(() => {}, 5)} c\``,
      'setTimeout outside the clock',
    ],
    ['a global setInterval', 'jobs/scheduler.ts', 'globalThis.setInterval(work, 5)', 'setInterval outside the clock'],
    [
      'timers as promises',
      'queue/in-process.ts',
      "import { setTimeout as nap } from 'node:timers/promises'",
      'setTimeout outside the clock',
    ],
    ['Math.random', 'policy/due.ts', 'const x = Math.random()', 'Math.random outside the clock'],
    ['process.env', 'cli/serve.ts', 'const home = process.env.HOME', 'process.env outside config.ts'],
    [
      'process.env after a regular expression with quotes',
      'cli/serve.ts',
      'const x = /[\'"`]/.test(y) ? process.env : 0',
      'process.env outside config.ts',
    ],
    ['process by import', 'cli/serve.ts', "import { env } from 'node:process'", 'process under another name'],
    ['a file that is too long', 'cli/serve.ts', 'const a = 1\n'.repeat(plan.longestFile + 1), '351 lines; at most 350'],
  ]
  it.each(mistakes)('%s', (_, file, text, fault) => {
    expect(faultsOf(file, text, plan).join('\n')).toContain(fault)
  })

  it('cycles, of types too', () => {
    const files = new Map([
      ['a.ts', "import { b } from './b.ts'"],
      ['b.ts', "import type { C } from './c.ts'"],
      ['c.ts', "export * from './a.ts'"],
      ['d.ts', "import { a } from './a.ts'"],
    ])
    expect(cyclesIn(graphOf(files))).toEqual(['a.ts → b.ts → c.ts → a.ts'])
  })
})

describe('the checker accepts', () => {
  const fine: Array<[string, string, string]> = [
    [
      'what comments and strings say',
      'policy/due.ts',
      `// Date.now()\n/* import '../config.ts' */ const text = 'process.env, setTimeout(' + \`Math.random() \${1}\``,
    ],
    ['a date made of a number', 'policy/due.ts', 'new Date(now).toISOString()'],
    ["a socket's own timeout", 'api/http/listener.ts', 'socket.setTimeout(5000)'],
    ['types of a port', 'lifecycle/enrol.ts', "import type { Store } from '../store/store.ts'"],
    ["a verb's own neighbour", 'lifecycle/enrol.ts', "import { issue } from './issue.ts'"],
    ['division', 'policy/due.ts', 'const half = (a + b) / 2 / c // setTimeout()'],
  ]
  it.each(fine)('%s', (_, file, text) => {
    expect(faultsOf(file, text, plan)).toEqual([])
  })
})
