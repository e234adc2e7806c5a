import { InvalidArgumentError } from 'commander'

/** Parsers of option values. What they refuse is a usage error: exit 2. */

export const positiveInteger = (text: string): number => {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It should be a whole number from 1.')
}

/** What one request to the server may ask for. */
export const pageSize = (text: string): number => {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1000) return Number(text)
  throw new InvalidArgumentError('It should be a whole number from 1 to 1000.')
}

export const instant = (text: string): string => {
  const time = Date.parse(text)
  if (Number.isNaN(time))
    throw new InvalidArgumentError('It should be a date, e.g. 2027-01-31 or 2027-01-31T12:00:00Z.')
  return new Date(time).toISOString()
}

/** `name=value`, any number of times. */
export const label = (text: string, labels: Record<string, string> = {}): Record<string, string> => {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('It should be name=value.')
  return { ...labels, [name]: value }
}

export const example = (...commands: string[]): string =>
  `\nExample${commands.length > 1 ? 's' : ''}:\n${commands.map((command) => `  $ ${command}`).join('\n')}\n`

/** Part of a path in the admin REST. */
export const segment = (text: string): string => encodeURIComponent(text)
