import type { AgentClock } from './clock.ts'
import { isoTime } from './clock.ts'

export type LogDetail = Record<string, string | number | boolean | null>
/** One line per step. Callers pass no key and no token; nothing here could tell them. */
export type Log = (message: string, detail?: LogDetail) => void

const textValue = (value: LogDetail[string]): string => {
  const text = String(value)
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)
}

/** Writes lines as text (`time message name=value …`) or as JSON objects. */
export const createLog = (options: { json: boolean; clock: AgentClock; write: (line: string) => void }): Log => {
  const time = () => isoTime(options.clock.now())
  if (options.json) {
    return (message, detail = {}) => options.write(`${JSON.stringify({ time: time(), message, ...detail })}\n`)
  }
  return (message, detail = {}) => {
    const fields = Object.entries(detail).map(([name, value]) => ` ${name}=${textValue(value)}`)
    options.write(`${time()} ${message}${fields.join('')}\n`)
  }
}
