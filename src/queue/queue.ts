import type { Duration, Instant } from '../model.ts'

/** One unit of work that is due now. `id` is deterministic: while a job of that id waits or runs, another is a duplicate. */
export interface Job {
  name: string
  id: string
  payload: Record<string, unknown>
}

export interface JobOptions {
  /** How many of this name run at once. */
  concurrency: number
  /** Tries in all, with exponential backoff and full jitter between them, then it is a dead letter. */
  attempts: number
  /** The first backoff's upper bound; doubled each time up to `maxBackoff`. */
  backoff: Duration
  maxBackoff: Duration
}

export interface DeadLetter {
  job: Job
  attempts: number
  failedAt: Instant
  reason: string
}

/** Carries work from the scheduler to the verbs. Holds no truth: what is lost here is found due again by the next sweep. */
export interface Queue {
  process(name: string, options: JobOptions, handler: (payload: Job['payload']) => Promise<void>): void
  /**
   * `duplicate` also for a dead letter that rests, up to `maxBackoff` after its last try; then it may come again.
   * `full` when the bound is reached or the queue is closed: the next sweep brings it again.
   */
  enqueue(job: Job): Promise<'accepted' | 'duplicate' | 'full'>
  deadLetters(): Promise<DeadLetter[]>
  /** Puts a dead letter back; false when there is none of that name and id. */
  retry(name: string, id: string): Promise<boolean>
  /** Resolves when nothing waits for a worker and nothing runs; what backs off is not waited for. */
  idle(): Promise<void>
  /** Takes no more, waits for what runs until `deadline`, and drops the rest. */
  close(deadline: Duration): Promise<void>
}
