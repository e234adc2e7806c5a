import { dirname, join } from 'node:path'
import { readSource, type SourceImport } from './source.ts'

export interface Rule {
  /** Parts of src that may be imported; "part:type" by `import type` only. */
  parts: readonly string[]
  /** Modules of Node; '*': every one. */
  node: readonly string[]
  packages: readonly string[]
}

/** What a house is built by. */
export interface Plan {
  table: Readonly<Record<string, Rule>>
  /** Roles: the file named as its folder is the port, its siblings are adapters. */
  ports: readonly string[]
  /** The only files that may take time, timers or chance from the system. */
  systemTime: readonly string[]
  longestFile: number
  /** What lies outside src and may be read all the same, by file. */
  outside: Readonly<Record<string, readonly string[]>>
}

const forbiddenCalls: ReadonlyArray<{ name: string; pattern: RegExp }> = [
  { name: 'Date.now', pattern: /\bDate\s*\.\s*now\b/ },
  { name: 'new Date()', pattern: /\bnew\s+Date\b\s*(?:\(\s*\)|(?!\s*[(<\w]))/ },
  { name: 'Date()', pattern: /(?<!new\s+)(?<![.\w])Date\s*\(/ },
  { name: 'setTimeout', pattern: /(?:(?<![.\w])|\bglobalThis\s*\.\s*)setTimeout\b/ },
  { name: 'setInterval', pattern: /(?:(?<![.\w])|\bglobalThis\s*\.\s*)setInterval\b/ },
  { name: 'Math.random', pattern: /\bMath\s*\.\s*random\b/ },
]

/** The part of src that a file (relative to src) belongs to. */
function partOf(file: string, ports: readonly string[]): string {
  const [first = '', second] = file.split('/')
  if (second === undefined) return first.replace(/\.ts$/, '')
  if (ports.includes(first) && second === `${first}.ts`) return `port ${first}`
  return file === 'events/catalogue.ts' ? 'events/catalogue' : first
}

const mayImport = (rule: Rule, target: string, isType: boolean): boolean =>
  rule.parts.includes(target) || (isType && rule.parts.includes(`${target}:type`))

function importFault(
  file: string,
  { specifier, isType }: SourceImport,
  { table, ports, outside }: Plan,
): string | null {
  const part = partOf(file, ports)
  const rule = table[part]
  if (rule === undefined) return null
  if (specifier.startsWith('node:'))
    return rule.node.includes('*') || rule.node.includes(specifier) ? null : `${part} may not import ${specifier}`
  if (!specifier.startsWith('.')) {
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
    return rule.packages.includes(name) ? null : `${part} may not import the package ${name}`
  }
  const target = join(dirname(file), specifier)
  if (target.startsWith('..')) return outside[file]?.includes(specifier) ? null : `${specifier} leaves src`
  const targetPart = partOf(target, ports)
  if (targetPart === part || mayImport(rule, targetPart, isType)) return null
  const asType = rule.parts.includes(`${targetPart}:type`) ? ' other than by "import type"' : ''
  return `${part} may not import ${targetPart}${asType}`
}

/** Everything wrong with one file of src, as "file:line: what". */
export function faultsOf(file: string, text: string, plan: Plan): string[] {
  const source = readSource(text)
  const lines = source.code.split('\n')
  const mayTakeTime = plan.systemTime.includes(file)
  const faults = source.imports.flatMap((found) => {
    const fault = importFault(file, found, plan)
    return fault === null ? [] : [`${found.line}: ${fault}`]
  })
  if (plan.table[partOf(file, plan.ports)] === undefined)
    faults.push(`1: ${partOf(file, plan.ports)} is not in the plan`)
  faults.push(...source.computedImports.map((line) => `${line}: import of something other than a literal`))
  for (const [index, code] of lines.entries()) {
    for (const { name, pattern } of forbiddenCalls)
      if (pattern.test(code) && !mayTakeTime) faults.push(`${index + 1}: ${name} outside the clock`)
    if (
      /\bprocess\s*(?:\.|\?\.)\s*env\b|\bprocess\s*\[/.test(code) &&
      file !== 'config.ts' &&
      partOf(file, plan.ports) !== 'agent'
    )
      faults.push(`${index + 1}: process.env outside config.ts`)
  }
  const named = source.imports.filter(({ specifier }) => /^(?:node:)?process$/.test(specifier))
  faults.push(...named.map(({ line }) => `${line}: process under another name`))
  if (lines.length - 1 > plan.longestFile) faults.push(`${lines.length - 1} lines; at most ${plan.longestFile}`)
  return faults.map((fault) => `${file}:${fault}`)
}

/** Files that reach themselves, each cycle once as "a → b → a". Types count: a cycle of types is a knot too. */
export function cyclesIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(' → '))
      return
    }
    if (done.has(file)) return
    for (const target of graph.get(file) ?? []) visit(target, [...trail, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return cycles
}

export const graphOf = (files: ReadonlyMap<string, string>): Map<string, string[]> =>
  new Map(
    [...files].map(([file, text]) => [
      file,
      readSource(text)
        .imports.filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => join(dirname(file), specifier)),
    ]),
  )
