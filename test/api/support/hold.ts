import type { Ports } from '../../../src/lifecycle/ports.ts'

/** Holds every transaction back until it is let go. */
export const holdTransactions = () => {
  let held = 0
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  let isHolding = false
  const wrap = (ports: Ports): Ports => {
    const { store } = ports
    const transaction: typeof store.transaction = async (work) => {
      if (isHolding) {
        held += 1
        await released
      }
      return store.transaction(work)
    }
    return {
      ...ports,
      store: new Proxy(store, {
        get: (target, name) => (name === 'transaction' ? transaction : Reflect.get(target, name)),
      }),
    }
  }
  return {
    wrap,
    hold: () => {
      isHolding = true
    },
    release: () => {
      isHolding = false
      release()
    },
    held: () => held,
  }
}
