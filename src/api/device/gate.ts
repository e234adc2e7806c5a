import { EverleafError } from '../../errors.ts'

/** Lets so many pass at once and refuses the rest at once: a queue would only hold requests that their clients gave up. */
export interface Gate {
  /** Throws `unavailable` when it is full. */
  pass<T>(work: () => Promise<T>): Promise<T>
}

export const createGate = (places: number): Gate => {
  let taken = 0
  return {
    async pass(work) {
      if (taken >= places)
        throw new EverleafError('unavailable', `the server is at work on ${places} requests; try again in a moment`)
      taken += 1
      try {
        return await work()
      } finally {
        taken -= 1
      }
    },
  }
}
