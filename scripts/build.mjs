// Builds dist/everleaf-agent.mjs (one file without dependency, Node 20 and newer) and dist/everleaf.mjs (the server, Node 24) with its
// migrations beside it. `--agent` builds the agent alone. Plain JavaScript, run by Node 20 or newer.
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const mostAgentBytes = 100_000

const shebang = '#!/usr/bin/env node'
const importRequire = "import { createRequire } from 'node:module'"

const common = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  platform: 'node',
  format: 'esm',
  legalComments: 'none',
  logLevel: 'warning',
  define: { EVERLEAF_VERSION: JSON.stringify(version) },
}

/** By rename: whoever runs the old file meanwhile, or builds at the same time, never sees half of one. */
function put(name, bytes) {
  mkdirSync(dist, { recursive: true })
  const path = join(dist, name)
  const next = `${path}.${process.pid}.new`
  writeFileSync(next, bytes)
  chmodSync(next, 0o755)
  renameSync(next, path)
  process.stderr.write(`dist/${name}: ${bytes.length} bytes\n`)
}

async function bundle(name, options) {
  const { outputFiles } = await build({ ...common, ...options })
  const [file] = outputFiles
  if (file === undefined) throw new Error(`esbuild made nothing of ${name}`)
  return file.contents
}

async function buildAgent() {
  const bytes = await bundle('agent', {
    entryPoints: ['src/agent/main.ts'],
    target: 'node20',
    minify: true,
    // One function around it all, and Node's modules by `require`: V8 compiles less of it, and an `import` of node:http would read every
    // export that it has, fetch and WebSocket among them. Together a quarter of the agent's memory.
    format: 'cjs',
    banner: { js: `${shebang}\n${importRequire};((require) => {` },
    footer: { js: '})(createRequire(import.meta.url))' },
  })
  if (bytes.length > mostAgentBytes) {
    throw new Error(`the agent has ${bytes.length} bytes; ${mostAgentBytes} at most, so that it fits on small devices`)
  }
  put('everleaf-agent.mjs', bytes)
}

async function buildServer() {
  const bytes = await bundle('server', {
    entryPoints: ['src/main.ts'],
    target: 'node24',
    // What is bundled of CommonJS asks for `require`, which a module does not have.
    banner: { js: `${shebang}\n${importRequire}; const require = createRequire(import.meta.url)` },
  })
  const migrations = join(dist, 'migrations')
  rmSync(migrations, { recursive: true, force: true })
  cpSync(join(root, 'src', 'store', 'migrations'), migrations, { recursive: true })
  put('everleaf.mjs', bytes)
}

const unknown = process.argv.slice(2).filter((argument) => argument !== '--agent')
if (unknown.length > 0) {
  process.stderr.write(`build: unknown argument ${unknown.join(' ')}; usage: node scripts/build.mjs [--agent]\n`)
  process.exit(2)
}
try {
  await buildAgent()
  if (!process.argv.includes('--agent')) await buildServer()
} catch (error) {
  process.stderr.write(`build: ${error.message}\n`)
  process.exit(1)
}
