import type { Terminal } from './session.ts'

/** A line that is written over while somebody watches; nothing where nobody does. */
export function createProgress(what: string, terminal: Terminal) {
  let shown = -1
  return {
    show(done: number, total: number): void {
      const percent = total > 0 ? Math.floor((100 * done) / total) : 100
      if (!terminal.isWatched || percent === shown) return
      shown = percent
      terminal.err(`\r${what}: ${percent} % (${done} of ${total})`)
    },
    end(): void {
      if (shown >= 0) terminal.err('\n')
      shown = -1
    },
  }
}
