/** What a bench is given. */
export interface Surroundings {
  /** A directory of its own on a real disk, empty, removed afterwards. */
  directory: string
  /** Kept until the whole run ends, for what several benches seed alike. */
  shared: string
  /** One line for people on what goes on now. */
  progress(text: string): void
  /** Sizes asked for; empty: the bench's own. */
  entries: readonly number[]
  /** Rounds whose median counts. */
  rounds: number
}

/** The figures of one measurement, each beside the baseline that it is a ratio to; one line of JSON. */
export type Result = { bench: string } & Record<string, string | number | boolean | null>

/** One line of the table for people. */
export interface Row {
  what: string
  ours: string
  baseline: string
  ratio: string
  /** The budget, and whether it is met; null: there is none. */
  target: string | null
  met: boolean | null
}

export interface Report {
  result: Result
  rows: Row[]
}

export type Bench = (surroundings: Surroundings) => Promise<Report[]>
