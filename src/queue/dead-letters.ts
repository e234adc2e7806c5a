import type { Instant } from '../model.ts'
import type { DeadLetter } from './queue.ts'

interface Kept {
  letter: DeadLetter
  restsUntil: Instant
}

const keyOf = (name: string, id: string): string => `${name}\0${id}`

/** The last `bound` jobs that used up their tries, oldest first. The oldest is forgotten for a new one. */
export const createDeadLetters = (bound: number) => {
  const kept = new Map<string, Kept>()
  return {
    add(letter: DeadLetter, restsUntil: Instant): void {
      const key = keyOf(letter.job.name, letter.job.id)
      kept.delete(key)
      kept.set(key, { letter, restsUntil })
      for (const oldest of kept.keys()) {
        if (kept.size <= bound) break
        kept.delete(oldest)
      }
    },
    /** Whether it died so recently that the sweeps shall leave it alone. A clock set back ends the rest. */
    rests(name: string, id: string, now: Instant): boolean {
      const found = kept.get(keyOf(name, id))
      return found !== undefined && now < found.restsUntil && now >= found.letter.failedAt
    },
    take(name: string, id: string): DeadLetter | null {
      const key = keyOf(name, id)
      const found = kept.get(key)
      kept.delete(key)
      return found?.letter ?? null
    },
    list: (): DeadLetter[] => [...kept.values()].map(({ letter }) => letter),
  }
}
