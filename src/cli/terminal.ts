import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { Terminal } from './session.ts'

/**
 * The terminal, or the pipes, of this process. A reader of the answer that went away (`| head`) ends it quietly. A log that
 * nobody reads any more, or whose disk is full, is lost and ends nothing: the server is worth more than its log.
 */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  stderr.on('error', () => undefined)
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    stderr.write(`everleaf: the answer cannot be written: ${error.message}\n`)
    process.exit(1)
  })
  return {
    out: (text) => stdout.write(text),
    err: (text) => stderr.write(text),
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    isWatched: stderr.isTTY === true,
    async ask(question) {
      const lines = createInterface({ input: stdin, output: stderr })
      try {
        const hungUp = once(lines, 'close').then(() => '')
        return await Promise.race([lines.question(question), hungUp])
      } finally {
        lines.close()
      }
    },
  }
}
