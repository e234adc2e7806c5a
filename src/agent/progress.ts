/** How an attempt begins, is noted, and is found again after a cut. */
import type { Agent } from './agent.ts'
import { isoTime } from './clock.ts'
import { reasonOf } from './error.ts'
import { isBefore, type Journal, loadJournal, owedHook, saveJournal } from './journal.ts'
import { generateKey } from './keys.ts'
import { layout } from './layout.ts'
import { currentNumber, loadKey, loadPair, type Pair, switchTo, writeKey } from './pairs.ts'

/** Changes the journal, durably, and says when a step was reached. */
export const noteStep = (agent: Agent, journal: Journal, change: Partial<Journal>): Journal => {
  const next = { ...journal, ...change }
  saveJournal(agent.place.disk, agent.place.directory, next)
  if (next.step !== journal.step) agent.log(next.step, { pair: next.pair })
  return next
}

interface Beginning {
  kind: Journal['kind']
  previous: Pair | null
  /** PKCS#8 PEM. */
  keyPem: string
  /** The hook of the previous pair has not succeeded yet. */
  hookOwed: boolean
}

const begin = (agent: Agent, { kind, previous, keyPem, hookOwed }: Beginning): Journal => {
  const pair = writeKey(agent.place, keyPem)
  const journal: Journal = {
    kind,
    step: 'key-written',
    pair,
    previous: previous?.number ?? null,
    startedAt: isoTime(agent.time.now()),
    proof: null,
    refusals: 0,
    hookOwed,
    hook: owedHook,
  }
  saveJournal(agent.place.disk, agent.place.directory, journal)
  agent.log('key-written', { pair, kind })
  return journal
}

/** Makes the key for a first certificate, or for one that replaces all that is there. */
export const beginEnrolment = (agent: Agent, previous: Pair | null): Journal =>
  begin(agent, { kind: 'enrol', previous, keyPem: generateKey(agent.settings.key), hookOwed: false })

/** Makes the key for the successor of `previous`: a new one, or under the policy `reuse` the same again. */
export const beginRenewal = (agent: Agent, previous: Pair, keys: 'rekey' | 'reuse'): Journal => {
  const { disk, directory } = agent.place
  const keyPem = keys === 'reuse' ? previous.keyPem : generateKey(agent.settings.key)
  return begin(agent, { kind: 'renew', previous, keyPem, hookOwed: loadJournal(disk, directory)?.step === 'switched' })
}

/** A damaged journal costs the attempt that it told of, never the pair in use. */
const readJournal = (agent: Agent): Journal | null => {
  const { disk, directory } = agent.place
  try {
    return loadJournal(disk, directory)
  } catch (error) {
    agent.log('the journal is put aside', { reason: reasonOf(error) })
    disk.removeFile(layout.journal(directory))
    return null
  }
}

/** What an attempt has on disk decides from where it can go on: without its key from nowhere, without its chain from the request. */
const borneOut = (agent: Agent, journal: Journal): Journal | null => {
  if (!isBefore(journal, 'switched')) return journal
  try {
    if (isBefore(journal, 'received')) return loadKey(agent.place, journal.pair) === null ? null : journal
    loadPair(agent.place, journal.pair)
    return journal
  } catch (error) {
    agent.log('the new pair is damaged and is asked for again', { pair: journal.pair, reason: reasonOf(error) })
    return isBefore(journal, 'received') ? null : borneOut(agent, noteStep(agent, journal, { step: 'requested' }))
  }
}

/** The journal knows what `current` named. Put back, a link that was lost costs nobody's visit. */
const putBack = (agent: Agent, number: number | null): number | null => {
  if (number === null) return null
  try {
    switchTo(agent.place, number)
    agent.log('the link to the pair in use was lost and is put back', { pair: number })
    return number
  } catch (error) {
    agent.log('the link to the pair in use is lost', { pair: number, reason: reasonOf(error) })
    return null
  }
}

/** The journal as the disk bears it out: a step that was done and not noted is noted, an attempt that was overtaken is dropped. */
export const reconcile = (agent: Agent): Journal | null => {
  const { disk, directory } = agent.place
  const journal = readJournal(agent)
  if (journal === null) return null
  const expected = isBefore(journal, 'switched') ? journal.previous : journal.pair
  const current = currentNumber(agent.place) ?? putBack(agent, expected)
  if (isBefore(journal, 'switched') && current === journal.pair) return noteStep(agent, journal, { step: 'switched' })
  const sound = current === expected ? borneOut(agent, journal) : null
  if (sound !== null) return sound
  agent.log('the journal does not fit what is on disk; it is put aside', { current, expected })
  disk.removeFile(layout.journal(directory))
  return null
}
