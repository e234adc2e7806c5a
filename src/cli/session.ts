import type { Clock } from '../clock/clock.ts'
import { adminEndpoint, type Config, loadConfig } from '../config.ts'
import { type AdminClient, createClient } from './client.ts'

/** Where words go and come from. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Somebody is there to answer. */
  isInteractive: boolean
  /** Somebody watches stderr, so a line may be written over. */
  isWatched: boolean
  /** One line, typed by hand. */
  ask(question: string): Promise<string>
}

/** What a command works with. */
export interface Session {
  terminal: Terminal
  clock: Clock
  isJson(): boolean
  config(): Config
  /** Of the running server. */
  client(): AdminClient
  /** One line of JSON with `--json`, otherwise the words. */
  print(value: unknown, words: () => string): void
  /** What is no part of the answer: stderr. */
  note(words: string): void
  /** Yes, where nobody is there to ask. */
  confirm(question: string): Promise<boolean>
}

export interface GlobalOptions {
  json?: boolean
  config?: string
}

export interface SessionOptions {
  terminal: Terminal
  clock: Clock
  /** Known once the command line was read. */
  options(): GlobalOptions
}

export function createSession({ terminal, clock, options }: SessionOptions): Session {
  const isJson = () => options().json === true
  const config = () => {
    const { config: file } = options()
    return loadConfig(file === undefined ? {} : { file })
  }
  return {
    terminal,
    clock,
    isJson,
    config,
    client: () => createClient(adminEndpoint(config())),
    print: (value, words) => terminal.out(`${isJson() ? JSON.stringify(value) : words()}\n`),
    note: (words) => terminal.err(`${words}\n`),
    async confirm(question) {
      if (!terminal.isInteractive) return true
      const answer = await terminal.ask(`${question} [y/N] `)
      return /^y(?:es)?$/i.test(answer.trim())
    },
  }
}
