import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, resolve } from 'node:path'
import { type Document, isMap, LineCounter, parseDocument } from 'yaml'
import { overridesFrom } from './config/environment.ts'
import { type Origin, type Problem, problemsOf, reportText } from './config/report.ts'
import { problemsBetween } from './config/rules.ts'
import { configSchema, type ParsedConfig } from './config/schema.ts'
import { secretFrom } from './config/secrets.ts'
import type { Config, SecretSource } from './config/shape.ts'
import { EverleafError, messageOf } from './errors.ts'
import type { Profile } from './model.ts'

export type * from './config/shape.ts'

type Environment = Record<string, string | undefined>

export interface ConfigOptions {
  /**
   * Without it: EVERLEAF_CONFIG, ./everleaf.yaml, or everleaf.yaml in the data directory; without any of these,
   * defaults.
   */
  file?: string
  /** `process.env` unless a test says otherwise. */
  environment?: Environment
}

const fileName = 'everleaf.yaml'
const largestFile = 1024 * 1024

/** Reads, completes and checks the configuration. `configuration` with one line for every problem at once. */
export function loadConfig({ file: given, environment = process.env }: ConfigOptions = {}): Config {
  const file = findFile(given, environment)
  const lines = new LineCounter()
  const document = file === null ? null : parseYaml(file, lines)
  const base = file === null ? process.cwd() : dirname(file)
  const raw: Record<string, unknown> = document === null ? {} : valuesOf(document, file)
  const overrides = overridesFrom(environment)
  for (const { path, value } of overrides.values) setAt(raw, path, value)
  const origin: Origin = { file, document, lines, variables: overrides.variables }
  const fail = (problems: readonly Problem[]): never => {
    throw new EverleafError('configuration', reportText(origin, problems))
  }

  const data = environment.EVERLEAF_DATA
    ? resolve(environment.EVERLEAF_DATA)
    : resolve(base, dataText(raw.data, base, fail))
  const parsed = configSchema({ base, data, hostname: hostname() }).safeParse(raw)
  if (!parsed.success) return fail(problemsOf(parsed.error, (path) => valueAt(raw, path)))
  const config = complete(parsed.data, { file, data })
  const problems = problemsBetween(config)
  return problems.length > 0 ? fail(problems) : config
}

/** The secret that `source` points to; `what` names it in messages. Read when it is needed, kept by nobody. */
export const readSecret = (source: SecretSource, what: string, environment: Environment = process.env): string =>
  secretFrom(source, what, environment)

/**
 * Where a command reaches the admin listener, and by which token: EVERLEAF_ADMIN_URL and EVERLEAF_ADMIN_TOKEN, or this
 * machine's own.
 */
export function adminEndpoint(config: Config, environment: Environment = process.env): { url: string; token: string } {
  const { host, port, tokenFile } = config.listen.admin
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  const local = `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
  const url = (environment.EVERLEAF_ADMIN_URL || local).replace(/\/+$/, '')
  if (!URL.canParse(url)) throw new EverleafError('configuration', 'EVERLEAF_ADMIN_URL is no URL')
  const source = environment.EVERLEAF_ADMIN_TOKEN ? { environment: 'EVERLEAF_ADMIN_TOKEN' } : { file: tokenFile }
  return { url, token: secretFrom(source, 'admin token', environment) }
}

function findFile(given: string | undefined, environment: Environment): string | null {
  const named = given ?? environment.EVERLEAF_CONFIG
  if (named) return resolve(named)
  const candidates = [resolve(fileName), resolve(environment.EVERLEAF_DATA || defaultData, fileName)]
  return candidates.find((candidate) => existsSync(candidate)) ?? null
}

const defaultData = 'everleaf-data'

/** A configuration that lies in the default data directory means that one, not another inside it. */
function dataText(value: unknown, base: string, fail: (problems: readonly Problem[]) => never): string {
  if (value === undefined || value === null) return basename(base) === defaultData ? '.' : defaultData
  if (typeof value === 'string' && value.trim() !== '') return value
  return fail([{ path: ['data'], message: 'should be a directory' }])
}

function parseYaml(file: string, lines: LineCounter) {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new EverleafError('configuration', `cannot read the configuration: ${messageOf(error)}`, { cause: error })
  }
  if (text.length > largestFile)
    throw new EverleafError('configuration', `${file}: ${text.length} characters; at most ${largestFile}`)
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' })
  const faults = [...document.errors, ...document.warnings]
  const messages = faults.map(({ pos, message }) => `${file}:${lines.linePos(pos[0]).line}: ${message}`)
  if (document.contents !== null && !isMap(document.contents)) messages.push(`${file}:1: should be a map of settings`)
  if (messages.length > 0) throw new EverleafError('configuration', messages.join('\n'))
  return document
}

function valuesOf(document: Document, file: string | null): Record<string, unknown> {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    throw new EverleafError('configuration', `${file}: ${messageOf(error)}`, { cause: error })
  }
}

const valueAt = (raw: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    raw,
  )

function setAt(raw: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path
  if (rest.length === 0) {
    raw[key] = value
    return
  }
  const inner = raw[key]
  const map = typeof inner === 'object' && inner !== null ? { ...inner } : {}
  raw[key] = map
  setAt(map, rest, value)
}

/** Fills in what follows from other fields. */
function complete(parsed: ParsedConfig, { file, data }: { file: string | null; data: string }): Config {
  const { device, public: open, admin } = parsed.listen
  const [first = 'localhost'] = device.names
  const bracketed = first.includes(':') ? `[${first}]` : first
  const profiles = Object.entries(parsed.profiles).map(([name, profile]): [string, Profile] => [
    name,
    { name, ...profile },
  ])
  const listenerProfile: Profile = {
    ...parsed.listenerProfile,
    name: 'listener',
    keys: ['ec-p256'],
    subject: { CN: first },
    san: { dns: [], uri: [] },
    renewal: { ...parsed.listenerProfile.renewal, keys: 'rekey', grace: 0, burst: 10 },
  }
  return {
    ...parsed,
    file,
    data,
    listen: {
      device: { ...device, url: device.url ?? `https://${bracketed}:${device.port}` },
      public: { ...open, url: open.url ?? `http://${bracketed}:${open.port}` },
      admin,
    },
    profiles: Object.fromEntries(profiles),
    listenerProfile,
  }
}
