// Brings what a command needs: npm packages and Node 24 always, `--tests` the programs that tests check with,
// `--gateway` nginx. Plain JavaScript without dependency, for the system's Node 20 and newer. Silent when there is
// nothing to do; speaks on stderr only, because stdout belongs to the command that follows.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const mark = join(modules, '.everleaf-setup')
const ownNode = join(modules, '.bin', 'node')
const bundle = join(root, 'dist', 'everleaf-agent.mjs')

const say = (text) => process.stderr.write(`everleaf setup: ${text}\n`)

class SetupError extends Error {}

/** Runs a program in the project with its words on stderr. */
function run(program, args, options = {}) {
  const { status, signal, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2], ...options })
  if (error) throw new SetupError(`cannot run ${program}: ${error.message}`)
  if (signal) throw new SetupError(`${program} was stopped by ${signal}`)
  return status
}

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** An ordinary user's PATH has no sbin, where Debian puts nginx. */
const folders = () => [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
const find = (program) =>
  folders()
    .map((folder) => join(folder, program))
    .find(isExecutable)

// ---- npm packages and Node 24

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))
const lockDigest = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')

/** Whether what npm recorded of its last installation is what the lock file asks for. */
function isInstalled() {
  const record = join(modules, '.package-lock.json')
  if (!existsSync(record)) return false
  const installed = readJson(record).packages
  return Object.entries(readJson(join(root, 'package-lock.json')).packages).every(([path, { version, optional }]) => {
    if (path === '') return true
    return installed[path] === undefined ? optional === true : installed[path].version === version
  })
}

/** npm under the system's own Node: the one in node_modules is replaced while npm runs. */
function npm(args) {
  const systemPath = folders()
    .filter((folder) => !folder.startsWith(modules))
    .join(delimiter)
  return run('npm', args, { env: { ...process.env, PATH: systemPath, NODE_ENV: 'development' } })
}

/** The major version that package.json pins. */
const wantedNode = () => readJson(join(root, 'package.json')).devDependencies.node

function installPackages() {
  const digest = lockDigest()
  if (existsSync(mark) && readFileSync(mark, 'utf8') === digest && existsSync(ownNode)) return
  if (!isInstalled()) {
    say('installing npm packages (a minute or two the first time)')
    const status = npm(['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'])
    if (status !== 0) throw new SetupError(`"npm ci" failed with exit ${status}; its reason stands above`)
  }
  if (!existsSync(ownNode)) {
    // Newer npm holds back the install script that fetches the runtime.
    say(`fetching Node ${wantedNode()}`)
    const status = run(process.execPath, ['installArchSpecificPackage.js'], { cwd: join(modules, 'node') })
    if (status !== 0) throw new SetupError(`fetching Node ${wantedNode()} failed with exit ${status}`)
  }
  const { stdout, error } = spawnSync(ownNode, ['--version'], { encoding: 'utf8' })
  const version = error ? error.message : stdout.trim()
  if (version !== `v${wantedNode()}`)
    throw new SetupError(
      `${ownNode} is ${version || 'broken'}, not v${wantedNode()}: remove node_modules and try again`,
    )
  writeFileSync(mark, digest)
}

// ---- the agent's bundle

const newest = (path) => {
  if (!existsSync(path)) return 0
  if (!statSync(path).isDirectory()) return statSync(path).mtimeMs
  return Math.max(0, ...readdirSync(path).map((entry) => newest(join(path, entry))))
}

function buildAgent() {
  const sources = ['src/agent', 'src/protocol', 'scripts/build.mjs', 'package.json'].map((path) =>
    newest(join(root, path)),
  )
  if (newest(bundle) >= Math.max(...sources)) return
  say('building dist/everleaf-agent.mjs')
  const status = run(ownNode, ['scripts/build.mjs', '--agent'])
  if (status !== 0) throw new SetupError(`building the agent failed with exit ${status}`)
}

// ---- Debian packages

const jar = (name) => `/usr/share/java/${name}.jar`

const nginx = { debian: 'nginx-light', programs: ['nginx'], files: [] }
const forTests = [
  nginx,
  { debian: 'openssl', programs: ['openssl'], files: [] },
  { debian: 'gnutls-bin', programs: ['certtool'], files: [] },
  { debian: 'strongswan-pki', programs: ['pki'], files: [] },
  // Elliptic curves for pki, which only recommends them.
  {
    debian: 'libstrongswan-standard-plugins',
    programs: [],
    files: ['/usr/lib/ipsec/plugins/libstrongswan-openssl.so'],
  },
  { debian: 'curl', programs: ['curl'], files: [] },
  { debian: 'libbcpkix-java', programs: [], files: [jar('bcpkix'), jar('bcutil')] },
  { debian: 'libbcprov-java', programs: [], files: [jar('bcprov')] },
  { debian: 'default-jdk-headless', programs: ['java', 'javac'], files: [] },
]

const missingOf = (wanted) =>
  wanted
    .filter(
      ({ programs, files }) => !programs.every((program) => find(program)) || !files.every((file) => existsSync(file)),
    )
    .map(({ debian }) => debian)

/**
 * Waits up to five minutes for another apt. Debian starts a new service at once, nginx on port 80: policy-rc.d forbids
 * it for as long as this runs, and a unit that this brought is not started at the next boot either.
 */
const aptScript = `
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
mine=
finish() { rm -f "$log"; if [ -n "$mine" ]; then rm -f "$policy"; fi; }
trap finish EXIT
trap 'exit 130' INT TERM HUP
if [ ! -e "$policy" ]; then mine=yes; printf '#!/bin/sh\\nexit 101\\n' > "$policy"; chmod 755 "$policy"; fi
patiently() {
  tries=0
  until "$@" > "$log" 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ] || ! grep -qE 'Could not get lock|is held by process|Unable to lock' "$log"; then cat "$log" >&2; return 1; fi
    [ "$tries" -ne 1 ] || echo 'everleaf setup: waiting for another apt to finish' >&2
    sleep 5
  done
}
patiently apt-get update -q || echo 'everleaf setup: apt-get update failed; going on with what it knows' >&2
patiently apt-get install -q -y --no-upgrade --no-install-recommends "$@"
case " $* " in *" nginx-light "*) if [ -d /run/systemd/system ]; then systemctl disable --quiet nginx || true; fi ;; esac
`

function installDebianPackages(wanted) {
  const missing = missingOf(wanted)
  if (missing.length === 0) return
  const byHand = `sudo apt-get install --no-install-recommends ${missing.join(' ')}`
  const isRoot = process.getuid?.() === 0
  const mayApt = find('apt-get') && (isRoot || (find('sudo') && run('sudo', ['-n', 'true'], { stdio: 'ignore' }) === 0))
  if (mayApt) {
    say(`installing ${missing.join(', ')} (Debian packages)`)
    const shell = ['sh', '-c', aptScript, 'everleaf-setup', ...missing]
    const [program, ...args] = isRoot ? shell : ['sudo', '-n', ...shell]
    const status = run(program, args)
    const left = missingOf(wanted)
    if (status === 0 && left.length === 0) return
    say(status === 0 ? `apt-get is done, yet ${left.join(', ')} is not there` : `apt-get failed with exit ${status}`)
  }
  say(`missing: ${missing.join(', ')}. Without them some checks are skipped (they fail in CI). To install, type:`)
  say(`  ${byHand}`)
}

// ----

try {
  if (Number(process.versions.node.split('.')[0]) < 20)
    throw new SetupError(`this is Node ${process.versions.node}; 20 or newer is needed to begin with`)
  installPackages()
  if (process.argv.includes('--tests')) installDebianPackages(forTests)
  else if (process.argv.includes('--gateway')) installDebianPackages([nginx])
  buildAgent()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  say(error.message)
  process.exitCode = 1
}
