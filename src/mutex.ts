/** Runs what it is given one after the other, in the order of the calls, whatever became of the one before. */
export type Mutex = <Result>(work: () => Promise<Result>) => Promise<Result>

/** One at a time within this process. */
export const createMutex = (): Mutex => {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(work)
    last = result.then(
      () => undefined,
      () => undefined,
    )
    return result
  }
}
