import type { Agent } from './agent.ts'
import { checkIn, getAuthorities, getTrustAnchors } from './calls.ts'
import type { AgentCertificate } from './certificate.ts'
import { newestStart } from './chain.ts'
import { isoTime } from './clock.ts'
import { codeOf, reasonOf } from './error.ts'
import { loadJournal, owedHook, saveJournal } from './journal.ts'
import type { Pair } from './pairs.ts'
import { acceptAnchors, loadAnchors, saveAnchors } from './trust.ts'
import { agentVersion } from './version.ts'

export interface Contact {
  /** How the server was seen to accept the pair. */
  proof: 'check-in' | 'handshake'
  /** The server's tag of its trust anchors; null: it has none to give. */
  trustAnchors: string | null
}

const raiseFloor = (agent: Agent, peer: readonly AgentCertificate[]): void => {
  const [server] = peer
  if (server !== undefined) agent.time.raise(server.notBefore)
}

const sayHello = async (agent: Agent, pair: Pair): Promise<Contact> => {
  const endpoint = agent.endpoint(pair)
  const { lastError } = agent.memory()
  const answer = await checkIn(endpoint, {
    agent: agentVersion,
    time: isoTime(agent.clock.now()),
    trustAnchors: agent.memory().trustAnchors,
    crl: null,
    error: lastError === null || lastError.told ? null : lastError.message,
  })
  raiseFloor(agent, endpoint.session.peer())
  const { now, at, keys } = answer.renew
  const hint = { certificate: pair.leaf.fingerprint, now, at: Date.parse(at), keys }
  const told = lastError === null ? null : { ...lastError, told: true }
  agent.remember({ hint, plain: false, lastContact: agent.time.now(), lastError: told })
  return { proof: 'check-in', trustAnchors: answer.trustAnchors }
}

/**
 * An authenticated request with this pair, by which the server sees it in use. Everleaf answers with its hint, which is kept;
 * of another EST server a whole handshake and an answer must do.
 */
export const contactServer = async (agent: Agent, pair: Pair): Promise<Contact> => {
  try {
    return await sayHello(agent, pair)
  } catch (error) {
    if (codeOf(error) !== 'unsupported') throw error
  }
  const endpoint = agent.endpoint(pair)
  await getAuthorities(endpoint)
  raiseFloor(agent, endpoint.session.peer())
  agent.remember({ plain: true, hint: null, lastContact: agent.time.now() })
  return { proof: 'handshake', trustAnchors: null }
}

/** The hook is owed for new trust anchors too. A renewal in progress will run it anyway. */
const oweHook = (agent: Agent): void => {
  const { disk, directory } = agent.place
  const journal = loadJournal(disk, directory)
  if (agent.settings.hook !== null && journal?.step === 'confirmed') {
    saveJournal(disk, directory, { ...journal, step: 'switched', hook: owedHook })
  }
}

/** Fetches and installs the server's trust anchors when its tag is another than the installed one's. */
export const refreshAnchors = async (agent: Agent, pair: Pair, tag: string | null): Promise<void> => {
  if (tag === null || tag === agent.memory().trustAnchors) return
  const { disk, directory } = agent.place
  const endpoint = agent.endpoint(pair)
  const offered = await getTrustAnchors(endpoint)
  const peer = endpoint.session.peer()
  const roots = acceptAnchors({ offered, peer, at: newestStart(peer, agent.time.now()) })
  const present = loadAnchors(disk, directory) ?? []
  const same = roots.map((root) => root.fingerprint).join() === present.map((root) => root.fingerprint).join()
  if (!same) {
    oweHook(agent)
    saveAnchors(disk, directory, roots)
    agent.log('trust anchors installed', { roots: roots.length, tag })
  }
  agent.remember({ trustAnchors: tag })
}

/** As `refreshAnchors`, where something else must not fail for it. */
export const tryRefreshAnchors = async (agent: Agent, pair: Pair, tag: string | null): Promise<void> => {
  try {
    await refreshAnchors(agent, pair, tag)
  } catch (error) {
    agent.log('trust anchors are left as they are', { reason: reasonOf(error) })
  }
}
