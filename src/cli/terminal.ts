import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { Terminal } from './session.ts'

/** The terminal, or the pipes, of this process. A reader that went away (`| head`) ends it quietly. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  for (const stream of [stdout, stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
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
