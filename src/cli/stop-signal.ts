import type { Clock } from '../clock/clock.ts'

const signals = ['SIGINT', 'SIGTERM'] as const

/** Ctrl-C under npm arrives twice, from the terminal and from npm: this soon after the first it is the same one. */
const echo = 500

export interface StopSignal {
  /** Resolves at the first signal; another one ends the process at once. */
  received: Promise<void>
  release(): void
}

export function stopSignal(clock: Clock): StopSignal {
  const { promise, resolve } = Promise.withResolvers<void>()
  let firstAt: number | null = null
  const onSignal = (signal: (typeof signals)[number]): void => {
    if (firstAt === null) {
      firstAt = clock.now()
      resolve()
    } else if (clock.now() - firstAt > echo) process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    received: promise,
    release: () => {
      for (const signal of signals) process.off(signal, onSignal)
    },
  }
}
