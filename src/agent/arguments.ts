import { isAbsolute, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AgentError, reasonOf } from './error.ts'
import { parseFingerprint, parseKeyType, parseLabel, parseServer, type Settings } from './settings.ts'

interface Common {
  /** Absolute. */
  directory: string
  json: boolean
  logJson: boolean
}

export type Command =
  | { name: 'help'; text: string }
  | ({ name: 'enroll'; settings: Settings; tokenFile: string | null; force: boolean } & Common)
  | ({ name: 'run' } & Common)
  | ({ name: 'renew'; force: boolean } & Common)
  | ({ name: 'status' } & Common)

const common = `  --directory DIR      where key, certificate and journal lie
  --json               print the outcome as one JSON object
  --log-json           write the log on stderr as JSON lines
  --help               this text
`

const help = {
  main: `everleaf-agent: keeps this device's certificate alive

  everleaf-agent enroll   get the first certificate with a one-time token
  everleaf-agent run      keep it alive: renew in time, again and again
  everleaf-agent renew    renew once if it is due, for a timer; --force: now
  everleaf-agent status   what there is and what comes next

Each command has --help. Exit codes: 0 done, 1 refused or failed, 2 usage.
`,
  enroll: `everleaf-agent enroll: get the first certificate with a one-time token

  --server URL         https://host:port of the device listener
  --fingerprint HEX    SHA-256 of the root certificate, as the server printed it
  --device ID          name of this device; without it the token alone tells
  --token-file FILE    file with the token, - for stdin; else EVERLEAF_TOKEN is read
  --key TYPE           ec-p256 (default), ec-p384, rsa-2048 or rsa-3072
  --label LABEL        label of the EST server, where it has one
  --hook PROGRAM       run after each new certificate, without a shell
  --hook-arg ARGUMENT  its argument; may be repeated
  --hook-shell TEXT    instead of --hook: a command line for /bin/sh
  --force              enrol again although there is a certificate
${common}
Safe to repeat with the same token after a lost answer. Example:

  EVERLEAF_TOKEN=… everleaf-agent enroll --server https://ca.example:8443 --fingerprint 3f1a… --device pump-7 --directory /var/lib/everleaf-agent
`,
  run: `everleaf-agent run: keep the certificate alive until SIGTERM

${common}
Example:

  everleaf-agent run --directory /var/lib/everleaf-agent
`,
  renew: `everleaf-agent renew: renew once if it is due, then end

  --force              renew now
${common}
Example, for a timer:

  everleaf-agent renew --directory /var/lib/everleaf-agent
`,
  status: `everleaf-agent status: what there is and what comes next; asks nobody

${common}
Exits 1 when there is no usable certificate. Example:

  everleaf-agent status --directory /var/lib/everleaf-agent --json
`,
} as const

const usage = (message: string): AgentError => new AgentError('usage', message)

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const commonOptions = { directory: text, json: flag, 'log-json': flag, help: flag } as const
const enrolOptions = {
  server: text,
  fingerprint: text,
  device: text,
  'token-file': text,
  key: text,
  label: text,
  hook: text,
  'hook-arg': { type: 'string', multiple: true },
  'hook-shell': text,
  force: flag,
} as const

const optionsOf = {
  enroll: { ...commonOptions, ...enrolOptions },
  run: commonOptions,
  renew: { ...commonOptions, force: flag },
  status: commonOptions,
} as const

type Values = Readonly<Record<string, unknown>>

const parse = (name: keyof typeof optionsOf, parameters: readonly string[]): Values => {
  try {
    return parseArgs({ args: [...parameters], options: optionsOf[name], strict: true, allowPositionals: false }).values
  } catch (error) {
    throw usage(`${name}: ${reasonOf(error)}`)
  }
}

const optional = (values: Values, name: string): string | null => {
  const value = values[name]
  return typeof value === 'string' ? value : null
}

const required = (values: Values, name: string): string => {
  const value = optional(values, name)
  if (value === null || value === '') throw usage(`--${name} is missing; see --help`)
  return value
}

const commonOf = (values: Values): Common => {
  const directory = required(values, 'directory')
  return {
    directory: isAbsolute(directory) ? directory : resolve(directory),
    json: values.json === true,
    logJson: values['log-json'] === true,
  }
}

const hookOf = (values: Values): string[] | null => {
  const program = optional(values, 'hook')
  const shell = optional(values, 'hook-shell')
  const parameters = Array.isArray(values['hook-arg']) ? values['hook-arg'] : []
  if (program !== null && shell !== null) throw usage('--hook and --hook-shell exclude each other')
  if (program === null && parameters.length > 0) throw usage('--hook-arg needs --hook')
  if (shell !== null) return ['/bin/sh', '-c', shell]
  return program === null ? null : [program, ...parameters]
}

const parseDevice = (device: string | null): string | null => {
  if (device !== null && !/^[^:\p{Cc}]{1,64}$/u.test(device)) {
    throw usage(`device '${device}': expected 1 to 64 characters without colon and control characters`)
  }
  return device
}

const enrolCommand = (values: Values): Command => {
  const label = optional(values, 'label')
  const settings: Settings = {
    server: parseServer(required(values, 'server')),
    label: label === null ? null : parseLabel(label),
    device: parseDevice(optional(values, 'device')),
    fingerprint: parseFingerprint(required(values, 'fingerprint')),
    key: parseKeyType(optional(values, 'key') ?? 'ec-p256'),
    hook: hookOf(values),
    hookTimeout: 60,
  }
  const tokenFile = optional(values, 'token-file')
  return { name: 'enroll', settings, tokenFile, force: values.force === true, ...commonOf(values) }
}

/** Throws AgentError `usage`. There is no option for the token itself: the command line is everybody's to read. */
export const parseCommand = (argv: readonly string[]): Command => {
  const [name = '', ...parameters] = argv
  if (['', 'help', '--help', '-h'].includes(name)) return { name: 'help', text: help.main }
  if (name !== 'enroll' && name !== 'run' && name !== 'renew' && name !== 'status') {
    throw usage(`unknown command '${name}'; known are enroll, run, renew, status`)
  }
  const values = parse(name, parameters)
  if (values.help === true) return { name: 'help', text: help[name] }
  if (name === 'enroll') return enrolCommand(values)
  if (name === 'renew') return { name, force: values.force === true, ...commonOf(values) }
  return { name, ...commonOf(values) }
}
