import { type Agent, currentPair } from './agent.ts'
import { contactServer, refreshAnchors } from './contact.ts'
import { AgentError, codeOf, reasonOf } from './error.ts'
import { isBefore, type Journal } from './journal.ts'
import type { Pair } from './pairs.ts'
import { beginRenewal, reconcile } from './progress.ts'
import { advance, advanceLocally } from './renewal.ts'
import { decideRenewal, isAhead, type Verdict } from './schedule.ts'

/** After so many failures in a row the server's advice is done without, lest a broken check-in stop a renewal. */
const adviceFailures = 3

export interface Round {
  /** The pair in use at the end. */
  pair: Pair
  renewed: boolean
  verdict: Verdict
}

/** Completes what needs no server. A hook that fails stays owed; its failure is in the journal. */
export const settle = async (agent: Agent, { hook }: { hook: 'now' | 'when due' }): Promise<Journal | null> => {
  const journal = reconcile(agent)
  if (journal === null) return null
  const isEarly = isAhead(journal.hook.retryAt, agent.time.now())
  if (hook === 'when due' && journal.step === 'switched' && isEarly) return journal
  try {
    return await advanceLocally(agent, journal)
  } catch (error) {
    if (codeOf(error) !== 'hook') throw error
    agent.log('the hook failed and stays owed', { reason: reasonOf(error) })
    return reconcile(agent)
  }
}

export const requirePair = (agent: Agent): Pair => {
  const pair = currentPair(agent)
  if (pair === null) throw new AgentError('local', `${agent.place.directory} holds no certificate; run enroll first`)
  return pair
}

/** What the server and the calendar say of a pair, by what is known now. */
export const verdictOn = (agent: Agent, pair: Pair, forced = false): Verdict => {
  const { hint, jitter } = agent.memory()
  return decideRenewal({
    now: agent.time.now(),
    notBefore: pair.leaf.notBefore,
    notAfter: pair.leaf.notAfter,
    hint: hint?.certificate === pair.leaf.fingerprint ? hint : null,
    jitter: jitter ?? 0.5,
    forced,
  })
}

/** An enrolment that never got its certificate needs its token, which only `enroll` has. */
const awaitsServer = (journal: Journal | null): journal is Journal => {
  if (journal === null || journal.step === 'confirmed' || journal.step === 'switched') return false
  return journal.kind === 'renew' || !isBefore(journal, 'received')
}

/** Asks the server before deciding, where its answer can matter. When it fails and renewal is due anyway, that goes on without. */
const takeAdvice = async (agent: Agent, pair: Pair): Promise<void> => {
  const { plain, failures } = agent.memory()
  const before = verdictOn(agent, pair)
  if (plain || before.reason === 'expired') return
  if (before.act === 'renew' && failures >= adviceFailures) return
  try {
    const { trustAnchors } = await contactServer(agent, pair)
    await refreshAnchors(agent, pair, trustAnchors)
  } catch (error) {
    const code = codeOf(error)
    if (before.act === 'wait' || code === 'network' || code === 'busy') throw error
    agent.log('renewing without the advice of the server', { reason: reasonOf(error) })
  }
}

/** One round: complete what is local, go on with what is in progress, else ask the server and renew if it is due. */
export const round = async (agent: Agent, { forced }: { forced: boolean }): Promise<Round> => {
  const journal = await settle(agent, { hook: forced ? 'now' : 'when due' })
  if (awaitsServer(journal)) {
    await advance(agent, journal)
    const pair = requirePair(agent)
    return { pair, renewed: true, verdict: verdictOn(agent, pair) }
  }
  const pair = requirePair(agent)
  if (!forced) await takeAdvice(agent, pair)
  const verdict = verdictOn(agent, pair, forced)
  if (verdict.act === 'wait') return { pair, renewed: false, verdict }
  agent.log('renewing', { reason: verdict.reason })
  const { hint } = agent.memory()
  const keys = hint?.certificate === pair.leaf.fingerprint ? hint.keys : 'rekey'
  await advance(agent, beginRenewal(agent, pair, keys))
  return { pair: requirePair(agent), renewed: true, verdict }
}
