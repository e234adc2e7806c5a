import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Programs that are not ours and that check what ours writes, and the Debian package that brings each. */
const tools = {
  nginx: { programs: ['nginx'], files: [], debian: 'nginx-light' },
  openssl: { programs: ['openssl'], files: [], debian: 'openssl' },
  certtool: { programs: ['certtool'], files: [], debian: 'gnutls-bin' },
  /** The plug-in brings elliptic curves, without which `pki` reads none of our certificates. */
  pki: {
    programs: ['pki'],
    files: ['/usr/lib/ipsec/plugins/libstrongswan-openssl.so'],
    debian: 'strongswan-pki libstrongswan-standard-plugins',
  },
  curl: { programs: ['curl'], files: [], debian: 'curl' },
  java: { programs: ['java', 'javac'], files: [], debian: 'default-jdk-headless' },
  bouncycastle: {
    programs: ['java', 'javac'],
    files: ['/usr/share/java/bcpkix.jar', '/usr/share/java/bcprov.jar', '/usr/share/java/bcutil.jar'],
    debian: 'libbcpkix-java libbcprov-java default-jdk-headless',
  },
} satisfies Record<string, { programs: string[]; files: string[]; debian: string }>

export type Tool = keyof typeof tools

/** Debian keeps daemons such as nginx where an ordinary user's PATH does not look. */
const administratorFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

const searchPath = (): string[] => {
  const own = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...own, ...administratorFolders.filter((folder) => !own.includes(folder))]
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** The absolute path of a program, or null. */
export const findProgram = (program: string): string | null =>
  searchPath()
    .map((folder) => join(folder, program))
    .find(isExecutable) ?? null

const told = new Set<string>()

/** Whether `tool` is here. Where it is missing: an error in CI, otherwise false, with the reason told once. */
export function requireTool(tool: Tool): boolean {
  const wanted = tools[tool]
  const missing = [
    ...wanted.programs.filter((program) => findProgram(program) === null),
    ...wanted.files.filter((file) => !existsSync(file)),
  ]
  if (missing.length === 0) {
    process.env.PATH = searchPath().join(delimiter)
    return true
  }
  const reason = `${missing.join(', ')} not found: install it with "sudo apt-get install ${wanted.debian}" or run "npm test"`
  if (process.env.CI) throw new Error(`CI must not skip: ${reason}`)
  if (!told.has(tool)) console.warn(`skipped: ${reason}`)
  told.add(tool)
  return false
}
