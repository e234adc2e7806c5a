/**
 * The renewal, and the enrolment too: one journalled step after another, each safe to repeat. A step that is cut off is done
 * again; what it had already done on disk or at the server is found there.
 */
import { type Agent, currentPair } from './agent.ts'
import { contactServer, tryRefreshAnchors } from './contact.ts'
import { codeOf, reasonOf } from './error.ts'
import { isBefore, type Journal, owedHook } from './journal.ts'
import { layout, pairFiles } from './layout.ts'
import { currentNumber, loadPair, prune, switchTo, writeChain } from './pairs.ts'
import { noteStep as save } from './progress.ts'
import { receiveChain } from './receive.ts'
import { retryDelay } from './schedule.ts'

/** Refusals of a new pair in a row after which it is given up and another key is tried. */
const mostRefusals = 5

/** Gives an attempt up: the next one begins with a new key. The present pair was never touched. */
const abandon = (agent: Agent, journal: Journal, why: unknown): void => {
  agent.log('attempt given up', { pair: journal.pair, reason: reasonOf(why) })
  const { disk, directory } = agent.place
  if (journal.previous === null) disk.removeFile(layout.journal(directory))
  else
    save(agent, journal, {
      step: journal.hookOwed ? 'switched' : 'confirmed',
      pair: journal.previous,
      proof: 'check-in',
    })
  // A server that rejects for months must not fill the disk with keys.
  prune(agent.place, [journal.pair, journal.previous, currentNumber(agent.place)])
}

const receive = async (agent: Agent, journal: Journal, token: string | null): Promise<Journal> => {
  try {
    const chain = await receiveChain(agent, journal, token)
    writeChain(agent.place, journal.pair, chain)
    return save(agent, journal, { step: 'received' })
  } catch (error) {
    if (codeOf(error) === 'rejected') abandon(agent, journal, error)
    throw error
  }
}

const prove = async (agent: Agent, journal: Journal): Promise<Journal> => {
  const pair = loadPair(agent.place, journal.pair)
  try {
    const { proof, trustAnchors } = await contactServer(agent, pair)
    const proven = save(agent, journal, {
      proof,
      refusals: 0,
      step: isBefore(journal, 'proven') ? 'proven' : journal.step,
    })
    await tryRefreshAnchors(agent, pair, trustAnchors)
    return proven
  } catch (error) {
    if (codeOf(error) !== 'refused' || journal.step !== 'received') throw error
    if (journal.refusals + 1 >= mostRefusals) abandon(agent, journal, error)
    else save(agent, journal, { refusals: journal.refusals + 1 })
    throw error
  }
}

const activate = (agent: Agent, journal: Journal): Journal => {
  if (currentNumber(agent.place) !== journal.pair) switchTo(agent.place, journal.pair)
  return save(agent, journal, { step: 'switched', hook: owedHook })
}

const hookEnvironment = (directory: string): Record<string, string> => ({
  EVERLEAF_CERTIFICATE: pairFiles.certificate(layout.current(directory)),
  EVERLEAF_KEY: pairFiles.key(layout.current(directory)),
  EVERLEAF_CHAIN: pairFiles.chain(layout.current(directory)),
  EVERLEAF_TRUST_ANCHORS: layout.trustAnchors(directory),
})

const callHook = async (agent: Agent, journal: Journal): Promise<Journal> => {
  const { hook, hookTimeout } = agent.settings
  if (hook === null) return save(agent, journal, { step: 'hooked' })
  try {
    await agent.runHook({
      command: hook,
      environment: hookEnvironment(agent.place.directory),
      deadline: agent.clock.deadline(hookTimeout * 1000),
    })
  } catch (error) {
    const now = agent.time.now()
    const attempts = journal.hook.attempts + 1
    const life = loadPair(agent.place, journal.pair).leaf
    const fraction = agent.clock.fraction()
    const retryAt = now + retryDelay({ life, now, failures: attempts, code: 'hook', retryAfter: null, fraction })
    save(agent, journal, { hook: { attempts, error: reasonOf(error), retryAt: Math.round(retryAt) } })
    throw error
  }
  return save(agent, journal, { step: 'hooked' })
}

const finish = async (agent: Agent, journal: Journal): Promise<Journal> => {
  if (journal.proof === null) return prove(agent, journal)
  prune(agent.place, [journal.pair, journal.previous])
  return save(agent, journal, { step: 'confirmed', hookOwed: false })
}

/** A received pair that the server was not asked about yet is still better than one that has ended. */
const mustDoWithoutProof = (agent: Agent, journal: Journal): boolean => {
  if (journal.step !== 'received' || journal.previous === null) return false
  const now = agent.time.now()
  const ended = currentPair(agent)
  const next = loadPair(agent.place, journal.pair)
  return ended !== null && now > ended.leaf.notAfter && now >= next.leaf.notBefore && now <= next.leaf.notAfter
}

/** Whether the next step needs no server. */
const isLocal = (agent: Agent, journal: Journal): boolean => {
  if (journal.step === 'proven' || journal.step === 'switched') return true
  return journal.step === 'hooked' ? journal.proof !== null : mustDoWithoutProof(agent, journal)
}

const next = async (agent: Agent, journal: Journal, token: string | null): Promise<Journal> => {
  switch (journal.step) {
    case 'key-written':
      return save(agent, journal, { step: 'requested' })
    case 'requested':
      return receive(agent, journal, token)
    case 'received':
      return mustDoWithoutProof(agent, journal) ? activate(agent, journal) : prove(agent, journal)
    case 'proven':
      return activate(agent, journal)
    case 'switched':
      return callHook(agent, journal)
    case 'hooked':
      return finish(agent, journal)
    case 'confirmed':
      return journal
  }
}

/** Goes on from the journal's step to the end. Throws what stopped it; the journal says where to go on. */
export const advance = async (agent: Agent, journal: Journal, token: string | null = null): Promise<Journal> => {
  let reached = journal
  while (reached.step !== 'confirmed') reached = await next(agent, reached, token)
  return reached
}

/** Goes on as far as that is possible without the server. */
export const advanceLocally = async (agent: Agent, journal: Journal): Promise<Journal> => {
  let reached = journal
  while (reached.step !== 'confirmed' && isLocal(agent, reached)) reached = await next(agent, reached, null)
  return reached
}
