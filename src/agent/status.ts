import { isoTime } from './clock.ts'
import { AgentError, reasonOf } from './error.ts'
import { type Journal, loadJournal } from './journal.ts'
import { layout, pairFiles } from './layout.ts'
import { loadMemory, type Memory } from './memory.ts'
import { currentNumber, loadPair, type Pair, type Place } from './pairs.ts'
import { decideRenewal } from './schedule.ts'
import { loadSettings } from './settings.ts'
import { loadAnchors } from './trust.ts'

/** What `status --json` prints. Times are ISO 8601. */
export interface Status {
  directory: string
  server: string
  device: string | null
  certificate: {
    subject: string
    serial: string
    fingerprint: string
    notBefore: string
    notAfter: string
    pair: number
    path: string
  } | null
  /** Why there is no usable certificate; null: there is one. */
  problem: string | null
  renewal: { due: string; reason: string; keys: 'rekey' | 'reuse' } | null
  journal: Journal | null
  trustAnchors: number
  lastContact: string | null
  lastError: { time: string; code: string; message: string } | null
  failures: number
  clockBehind: boolean
}

const renewalOf = (pair: Pair, memory: Memory, now: number): Status['renewal'] => {
  const hint = memory.hint?.certificate === pair.leaf.fingerprint ? memory.hint : null
  const { notBefore, notAfter } = pair.leaf
  const verdict = decideRenewal({ now, notBefore, notAfter, hint, jitter: memory.jitter ?? 0.5, forced: false })
  return { due: isoTime(Math.round(verdict.at)), reason: verdict.reason, keys: hint?.keys ?? 'rekey' }
}

const presentPair = (place: Place, now: number): { pair: Pair | null; problem: string | null } => {
  try {
    const number = currentNumber(place)
    if (number === null) return { pair: null, problem: 'not enrolled: there is no certificate yet' }
    const pair = loadPair(place, number)
    const ended = now > pair.leaf.notAfter
    return { pair, problem: ended ? `the certificate ended at ${isoTime(pair.leaf.notAfter)}` : null }
  } catch (error) {
    return { pair: null, problem: reasonOf(error) }
  }
}

/** Reads what is on disk and asks nobody; `wallTime` in Unix milliseconds. */
export const readStatus = (place: Place, wallTime: number): Status => {
  const { disk, directory } = place
  const settings = loadSettings(disk, directory)
  if (settings === null) throw new AgentError('local', `${directory} holds no agent.json; run enroll first`)
  const memory = loadMemory(disk, directory, () => undefined)
  const now = Math.max(wallTime, memory.floor)
  const { pair, problem } = presentPair(place, now)
  const leaf = pair?.leaf
  return {
    directory,
    server: settings.server,
    device: settings.device,
    certificate:
      pair === null || leaf === undefined
        ? null
        : {
            subject: leaf.subjectText,
            serial: leaf.serial,
            fingerprint: leaf.fingerprint,
            notBefore: isoTime(leaf.notBefore),
            notAfter: isoTime(leaf.notAfter),
            pair: pair.number,
            path: pairFiles.certificate(layout.current(directory)),
          },
    problem,
    renewal: pair === null ? null : renewalOf(pair, memory, now),
    journal: loadJournal(disk, directory),
    trustAnchors: loadAnchors(disk, directory)?.length ?? 0,
    lastContact: memory.lastContact === null ? null : isoTime(Math.round(memory.lastContact)),
    lastError:
      memory.lastError === null ? null : { ...memory.lastError, time: isoTime(Math.round(memory.lastError.time)) },
    failures: memory.failures,
    clockBehind: wallTime < memory.floor,
  }
}

const journalText = (journal: Journal | null): string => {
  if (journal === null || journal.step === 'confirmed') return 'nothing in progress'
  const { attempts, error } = journal.hook
  const hook = attempts === 0 ? '' : `; hook failed ${attempts} times: ${error}`
  return `${journal.kind} of pair ${journal.pair}, ${journal.step} since ${journal.startedAt}${hook}`
}

/** For people. */
export const statusText = (status: Status): string => {
  const { certificate, renewal, lastError } = status
  const rows: [string, string][] = [
    ['directory', status.directory],
    ['server', status.server],
    ['device', status.device ?? '(named by the server)'],
    ['certificate', certificate === null ? 'none' : `${certificate.subject}, serial ${certificate.serial}`],
    ['valid', certificate === null ? '-' : `${certificate.notBefore} to ${certificate.notAfter}`],
    ['renewal', renewal === null ? '-' : `${renewal.due} (${renewal.reason}, ${renewal.keys})`],
    ['journal', journalText(status.journal)],
    ['trust anchors', String(status.trustAnchors)],
    ['last contact', status.lastContact ?? 'never'],
    ['last error', lastError === null ? 'none' : `${lastError.time} ${lastError.code}: ${lastError.message}`],
    ['failures', String(status.failures)],
    ['clock', status.clockBehind ? 'wrong: before what signatures prove' : 'plausible'],
  ]
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join('')
}
