import type { Document, LineCounter } from 'yaml'
import { isCollection, isMap, isNode, isScalar } from 'yaml'
import type { z } from 'zod'
import { suggestion } from './nearest.ts'

/** Something wrong at one place of the configuration, e.g. at `profiles.device.validity`. */
export interface Problem {
  path: readonly PropertyKey[]
  message: string
}

/** Where a value came from, to name the place in a message. */
export interface Origin {
  file: string | null
  document: Document | null
  lines: LineCounter
  /** Values that the environment gave: path → variable. */
  variables: ReadonlyMap<string, string>
}

/** "profiles.device.alerts.expiry[2]" */
export const pathText = (path: readonly PropertyKey[]): string =>
  path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('')

/** The line of the key at `path`, or of the closest one above it that exists; null: outside the file. */
function lineOf({ document, lines }: Origin, path: readonly PropertyKey[]): number | null {
  let node: unknown = document?.contents
  let offset: number | null = null
  for (const part of path) {
    if (!isCollection(node)) break
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))
      if (!pair) break
      if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0]
      node = pair.value
    } else {
      node = node.items[Number(part)]
      if (isNode(node) && node.range) offset = node.range[0]
    }
  }
  return offset === null ? null : lines.linePos(offset).line
}

/** One line for people on each problem, in the order of the file: where, what, and what would be right. */
export function reportText(origin: Origin, problems: readonly Problem[]): string {
  const found = problems.map(({ path, message }) => {
    const text = `${pathText(path)}: ${message}`
    const variable = origin.variables.get(pathText(path))
    if (variable !== undefined) return { line: 0, text: `${variable}: ${text}` }
    const line = origin.file === null ? null : lineOf(origin, path)
    const place = line === null ? origin.file : `${origin.file}:${line}`
    return { line: line ?? 0, text: place === null ? text : `${place}: ${text}` }
  })
  return found
    .sort((left, right) => left.line - right.line)
    .map(({ text }) => text)
    .join('\n')
}

/** What zod found, in our words. `valueAt` looks up what was written there. */
export function problemsOf(error: z.ZodError, valueAt: (path: readonly PropertyKey[]) => unknown): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const { path } = issue
    const written = valueAt(path)
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown key; ${suggestion(key, issue.message.split(' '))}`,
      }))
    if (issue.code === 'invalid_key')
      return issue.issues.map(({ message }) => ({ path, message: `as a name, ${message}` }))
    if (written === undefined) return [{ path, message: 'is missing' }]
    if (issue.code === 'invalid_value') {
      const valid = issue.values.map(String)
      const hint = typeof written === 'string' ? suggestion(written, valid) : `valid here: ${valid.join(', ')}`
      return [{ path, message: `${typeof written === 'string' ? 'unknown value' : 'wrong value'}; ${hint}` }]
    }
    return [{ path, message: issue.message.replace(/^(?:Invalid input|Too small|Too big): /, '') }]
  })
}
