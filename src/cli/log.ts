import { type Logger, pino } from 'pino'
import type { LogLevel } from '../config.ts'
import { plain } from './format.ts'
import type { Terminal } from './session.ts'

/** Never written, whatever is logged. */
const secrets = ['token', 'password', 'passphrase', 'secret', 'authorization', 'privateKey', 'challengePassword']
const redact = secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

const levels: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

/** Lines of JSON on stderr, or words where somebody watches. stdout belongs to what a command answers. */
export function createLog(level: LogLevel, terminal: Terminal): Logger {
  const write = (line: string) => terminal.err(terminal.isWatched ? wordsOf(line) : line)
  return pino({ level, redact, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, { write })
}

/** "12:00:01 info  certificate issued  device=truck-7" */
export function wordsOf(line: string): string {
  const { level, time, msg = '', err, event, ...fields } = JSON.parse(line)
  const told = event === undefined ? fields : { ...fields, subject: event.subject, ...event.detail }
  const rest = Object.entries(told).map(([name, value]) => `${name}=${wordOf(value)}`)
  const words = [`${String(time).slice(11, 19)} ${(levels[level] ?? '').padEnd(5)} ${msg}`, ...rest]
  const stack = err?.stack ? `\n${err.stack}` : ''
  return `${plain(words.join('  '))}${stack}\n`
}

const wordOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
