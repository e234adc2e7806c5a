/** What a TypeScript source says outside its comments and strings, read without a compiler. */
export interface Source {
  /** The code with comments and the insides of strings, templates and regular expressions blanked. Lines stay. */
  code: string
  imports: SourceImport[]
  /** Lines of `import(…)` and `require(…)` of something other than a literal. */
  computedImports: number[]
}

export interface SourceImport {
  specifier: string
  /** `import type` or `export type`: gone at run time. */
  isType: boolean
  line: number
}

/** After one of these a "/" begins a regular expression, after anything else it divides. */
const beforeRegExp =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield))$/

/**
 * The index after the string, template, comment or regular expression that starts at `start`; `start` for plain code.
 */
function endOfQuiet(text: string, start: number, before: string): number {
  const two = text.slice(start, start + 2)
  const end = (pattern: RegExp): number => {
    pattern.lastIndex = start
    return pattern.exec(text) ? pattern.lastIndex : text.length
  }
  if (two === '//') return end(/[^\n]*/y)
  if (two === '/*') return end(/\/\*[\s\S]*?\*\//y)
  if (text[start] === "'") return end(/'(?:\\[\s\S]|[^'\\\n])*'/y)
  if (text[start] === '"') return end(/"(?:\\[\s\S]|[^"\\\n])*"/y)
  if (text[start] === '/' && beforeRegExp.test(before.trimEnd()))
    return end(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y)
  return start
}

/** Replaces everything but line ends and the first and last character, so that quotes stay visible. */
const blank = (quiet: string): string =>
  /^\/[/*]/.test(quiet)
    ? quiet.replace(/[^\n]/g, ' ')
    : quiet[0] + quiet.slice(1, -1).replace(/[^\n]/g, ' ') + quiet.at(-1)

function blankQuiet(text: string): string {
  let code = ''
  /** Depth of braces at which each open template's `${` began. */
  const templates: number[] = []
  let depth = 0
  for (let index = 0; index < text.length; ) {
    const end = endOfQuiet(text, index, code.slice(-40))
    const letter = text[index]
    const resumesTemplate = letter === '}' && templates.at(-1) === depth
    if (end > index) {
      code += blank(text.slice(index, end))
      index = end
    } else if (letter === '`' || resumesTemplate) {
      if (resumesTemplate) {
        templates.pop()
        depth -= 1
      }
      const chunk = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*/y
      chunk.lastIndex = index + 1
      const inside = chunk.exec(text)?.[0] ?? ''
      code += letter + inside.replace(/[^\n]/g, ' ')
      index += 1 + inside.length
      if (text.startsWith('${', index)) {
        depth += 1
        templates.push(depth)
        code += '${'
        index += 2
      } else {
        code += '`'
        index += 1
      }
    } else {
      if (letter === '{') depth += 1
      if (letter === '}') depth -= 1
      code += letter
      index += 1
    }
  }
  return code
}

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length

export function readSource(text: string): Source {
  const code = blankQuiet(text)
  const imports: SourceImport[] = []
  const found = (index: number, length: number, isType: boolean) =>
    imports.push({ specifier: text.slice(index + 1, index + length - 1), isType, line: lineAt(text, index) })
  for (const match of code.matchAll(/\b(import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\bfrom\s*)?(['"][^'"]*['"])/g)) {
    const literal = match[3] ?? ''
    found(match.index + match[0].length - literal.length, literal.length, match[2] !== undefined)
  }
  const computedImports: number[] = []
  for (const match of code.matchAll(/\b(?:import|require)\s*\(\s*(['"][^'"]*['"])?/g)) {
    const literal = match[1]
    if (literal === undefined) computedImports.push(lineAt(text, match.index))
    else found(match.index + match[0].length - literal.length, literal.length, false)
  }
  return { code, imports, computedImports }
}
