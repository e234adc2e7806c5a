import type { Clock } from '../clock/clock.ts'
import { EverleafError, messageOf } from '../errors.ts'
import type { Duration } from '../model.ts'
import type { Digests } from './installation.ts'
import { describeFailure, runCommand } from './run-command.ts'
import { lookAtWorkers, newWorkers, oldWorkers, sameWorkers, type Workers } from './workers.ts'

export interface ReloadOptions {
  name: string
  /** Paths of the two PEM files that the gateway reads. */
  truststore: string
  crl: string
  /** Says by exit 0 that the installed files are good, e.g. `nginx -t`; null: not asked. */
  test: readonly string[] | null
  /** Makes the gateway read them, e.g. `nginx -s reload`. */
  reload: readonly string[]
  /** Pid file of the master process, under which a new worker must appear; null: not looked at. */
  pidFile: string | null
  /** Exit 0: the gateway enforces the files of which the environment tells (`EVERLEAF_TRUSTSTORE_SHA256` …); null: not asked. */
  check: readonly string[] | null
  /** For each command, and for each proof. */
  timeout: Duration
  clock: Clock
  environment: Readonly<Record<string, string>>
}

export interface Reload {
  /** Throws `refused` where the gateway's own test does not like the installed files. */
  test(digests: Digests): Promise<void>
  /** The workers as they are, to be compared with later; null: not looked at. */
  look(): Promise<Workers | null>
  /** Reloads and proves that it took: `before` is what was seen just before. */
  prove(digests: Digests, before: Workers | null): Promise<void>
  /** Reloads the previous files and proves it, or that the gateway never left them: nothing changed since `before`. */
  again(digests: Digests, before: Workers | null): Promise<void>
  /** After files that were the first are gone again: reloads only if the gateway's own test says that it can live without. */
  withoutFiles(): Promise<void>
}

const pause: Duration = 25
/** nginx tells its old workers to take no more connections 100 ms after it started the new ones. */
const farewell: Duration = 2_000
const noFiles: Digests = { truststore: null, crl: null }

export const createReload = (options: ReloadOptions): Reload => {
  const { clock, timeout, pidFile, check } = options

  const run = (argv: readonly string[], digests: Digests) =>
    runCommand(argv, {
      clock,
      timeout,
      environment: {
        ...options.environment,
        EVERLEAF_GATEWAY: options.name,
        EVERLEAF_TRUSTSTORE: options.truststore,
        EVERLEAF_CRL: options.crl,
        EVERLEAF_TRUSTSTORE_SHA256: digests.truststore ?? '',
        EVERLEAF_CRL_SHA256: digests.crl ?? '',
      },
    })

  const demand = async (argv: readonly string[], digests: Digests): Promise<void> => {
    const result = await run(argv, digests)
    if (result.exitCode !== 0)
      throw new EverleafError(result.timedOut ? 'unavailable' : 'refused', describeFailure(argv, result, timeout))
  }

  /** Polls until `look` finds no problem any more, or throws the last one. */
  const until = async (look: () => Promise<EverleafError | null>): Promise<void> => {
    const deadline = clock.now() + timeout
    for (let problem = await look(); problem !== null; problem = await look()) {
      if (clock.now() >= deadline) throw problem
      await clock.sleep(pause)
    }
  }

  const provenByWorkers = async (file: string, before: Workers): Promise<void> => {
    let seen: string[] = []
    await until(async () => {
      const now = await lookAtWorkers(file)
      const fresh = newWorkers(now, before)
      // Seen twice, so that one which dies at once over the new files does not count.
      const stayed = fresh.some((worker) => seen.includes(worker))
      seen = fresh
      if (stayed) return null
      if (now.master === null) return notRunning(file, now)
      const message = `the reload did not take: no new worker under process ${now.pid} within ${timeout} ms`
      return new EverleafError('refused', message)
    })
    const deadline = clock.now() + farewell
    // Other gateways let theirs linger unchanged: no proof of anything, and no failure.
    while (clock.now() < deadline && oldWorkers(await lookAtWorkers(file), before).length > 0) await clock.sleep(pause)
  }

  const provenByCheck = (argv: readonly string[], digests: Digests): Promise<void> =>
    until(async () => {
      const result = await run(argv, digests)
      return result.exitCode === 0 ? null : new EverleafError('refused', describeFailure(argv, result, timeout))
    })

  const look = async () => (pidFile === null ? null : await lookAtWorkers(pidFile))

  const reloaded = async (digests: Digests, before: Workers | null): Promise<void> => {
    try {
      await demand(options.reload, digests)
    } catch (error) {
      if (pidFile !== null && before?.master === null) throw notRunning(pidFile, before, error)
      throw error
    }
    if (pidFile !== null && before !== null) await provenByWorkers(pidFile, before)
  }

  return {
    look,

    async test(digests) {
      if (options.test !== null) await demand(options.test, digests)
    },

    async prove(digests, before) {
      await reloaded(digests, before)
      if (check !== null) await provenByCheck(check, digests)
    },

    async again(digests, before) {
      try {
        await reloaded(digests, await look())
      } catch (error) {
        const now = await look()
        const neverLeft = before !== null && now !== null && sameWorkers(before, now)
        if (!neverLeft && check === null) throw error
      }
      if (check !== null) await provenByCheck(check, digests)
    },

    async withoutFiles() {
      if (options.test === null || (await run(options.test, noFiles)).exitCode !== 0) return
      await demand(options.reload, noFiles)
    },
  }
}

const notRunning = (file: string, seen: Workers, cause?: unknown): EverleafError => {
  const what = seen.pid === null ? `no process number in ${file}` : `process ${seen.pid} of ${file} is not running`
  const why = cause === undefined ? '' : `${messageOf(cause)}; `
  return new EverleafError('unavailable', `${why}${what}`, { cause })
}
