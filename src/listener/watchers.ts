import type { ListenerPair } from './listener.ts'

export interface Watchers {
  add(callback: (pair: ListenerPair) => void): () => void
  tell(pair: ListenerPair): void
}

export const createWatchers = (): Watchers => {
  const callbacks = new Set<(pair: ListenerPair) => void>()
  return {
    add(callback) {
      callbacks.add(callback)
      return () => {
        callbacks.delete(callback)
      }
    },
    tell(pair) {
      for (const callback of [...callbacks]) callback(pair)
    },
  }
}
