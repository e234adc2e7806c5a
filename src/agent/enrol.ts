import { type Agent, currentPair, openAgent, type World } from './agent.ts'
import { getAuthorities } from './calls.ts'
import { AgentError } from './error.ts'
import { makeDirectories } from './files.ts'
import { isBefore, type Journal } from './journal.ts'
import { keyTypeOf } from './keys.ts'
import { currentNumber, loadKey, type Pair } from './pairs.ts'
import { beginEnrolment, reconcile } from './progress.ts'
import { advance } from './renewal.ts'
import { loadSettings, type Settings, saveSettings } from './settings.ts'
import { loadAnchors, pinnedRoot, saveAnchors } from './trust.ts'

export interface EnrolOptions {
  settings: Settings
  token: string | null
  /** Enrol although there is a certificate. The present pair stays until the new one is proven. */
  force: boolean
}

const firstContactTimeout = 30_000

/** Fetches the root by its fingerprint over a connection that proves nothing and carries nothing else. */
const bootstrap = async ({ place, openSession, clock, log }: World, settings: Settings): Promise<void> => {
  const { server, label, fingerprint } = settings
  const session = openSession({ server, trust: 'none', timeOverride: null, pair: null, timeout: firstContactTimeout })
  try {
    const root = pinnedRoot(await getAuthorities({ session, label, now: clock.now() }), fingerprint)
    saveAnchors(place.disk, place.directory, [root])
    log('root found by its fingerprint', { subject: root.subjectText, fingerprint })
  } finally {
    session.close()
  }
}

const where = ({ server, label }: Settings): string => (label === null ? server : `${server} (label ${label})`)

/** A directory with a certificate stays with its server; another pinned root is a decision that must be asked for. */
const refuseOther = (directory: string, present: Settings, { settings, force }: EnrolOptions): void => {
  if (where(present) !== where(settings)) {
    throw new AgentError(
      'usage',
      `${directory} is enrolled at ${where(present)}, not at ${where(settings)}; use another directory`,
    )
  }
  if (present.fingerprint !== settings.fingerprint && !force) {
    throw new AgentError(
      'usage',
      `${directory} was enrolled with the root ${present.fingerprint}, not ${settings.fingerprint}; --force if the root has really changed`,
    )
  }
}

/** An enrolment that was cut off goes on with its key, unless another kind of key is wanted now. */
const unfinished = (agent: Agent, journal: Journal | null): Journal | null => {
  if (journal === null || journal.kind !== 'enrol' || journal.step === 'confirmed') return null
  const held = loadKey(agent.place, journal.pair)
  if (isBefore(journal, 'received') && held !== null && keyTypeOf(held.key) !== agent.settings.key) return null
  return journal
}

/** Gets the first certificate of a directory, or finds that it is there. Safe to repeat after a cut, with the same token. */
export const enrolAgent = async (world: World, options: EnrolOptions): Promise<{ pair: Pair; already: boolean }> => {
  const { disk, directory } = world.place
  const { settings, token, force } = options
  makeDirectories(disk, directory)
  const present = loadSettings(disk, directory)
  if (present !== null && currentNumber(world.place) !== null) refuseOther(directory, present, options)
  const anchored = present?.fingerprint === settings.fingerprint && loadAnchors(disk, directory) !== null
  if (!anchored) await bootstrap(world, settings)
  const agent = openAgent(world, settings)
  try {
    const journal = reconcile(agent)
    const current = currentPair(agent)
    const open = unfinished(agent, journal)
    if (current !== null && open === null && !force) return { pair: current, already: true }
    // Not before: what is enrolled already is the operator's, and a root that was not found must not pass for the one that is installed.
    saveSettings(disk, directory, settings)
    await advance(agent, open ?? beginEnrolment(agent, current), token)
    agent.remember({ failures: 0, retryAt: null })
    return { pair: requireCurrent(agent), already: false }
  } finally {
    agent.disconnect()
  }
}

const requireCurrent = (agent: Agent): Pair => {
  const pair = currentPair(agent)
  if (pair === null) throw new AgentError('local', `${agent.place.directory} holds no certificate after the enrolment`)
  return pair
}
