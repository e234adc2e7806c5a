import { emptyName, encodeName } from '../protocol/name.ts'
import type { Agent } from './agent.ts'
import { enrol, getAuthorities, reenrol } from './calls.ts'
import { type AgentCertificate, describe } from './certificate.ts'
import { newestStart, verifyChain } from './chain.ts'
import { AgentError } from './error.ts'
import type { Journal } from './journal.ts'
import { createRequest } from './keys.ts'
import { layout } from './layout.ts'
import { loadKey, loadPair } from './pairs.ts'
import { loadAnchors } from './trust.ts'

interface Received {
  /** What the server sent for an enrolment. */
  issued: readonly AgentCertificate[]
  /** What it gave as its authorities. */
  authorities: readonly AgentCertificate[]
}

/** Leaf and intermediates without the root. Refuses what is not for our key or does not chain to a trust anchor. */
const checkReceived = (agent: Agent, journal: Journal, { issued, authorities }: Received): AgentCertificate[] => {
  const { disk, directory } = agent.place
  const held = loadKey(agent.place, journal.pair)
  if (held === null) throw new AgentError('local', `${layout.pair(directory, journal.pair)}: the key is missing`)
  const leaf = issued.find((certificate) => certificate.x509.checkPrivateKey(held.key))
  if (leaf === undefined) {
    const sent = issued.map(describe).join('; ')
    throw new AgentError('untrusted', `the server sent a certificate for another key than the one asked for: ${sent}`)
  }
  const anchors = loadAnchors(disk, directory) ?? []
  const others = [...issued, ...authorities].filter((certificate) => certificate !== leaf)
  const at = newestStart([leaf], agent.time.now())
  const path = verifyChain({ leaf, others, anchors, at, purpose: 'clientAuth' })
  agent.time.raise(leaf.notBefore)
  return path.slice(0, -1)
}

const askFirst = async (agent: Agent, journal: Journal, token: string): Promise<Received> => {
  const { device } = agent.settings
  const key = requireKey(agent, journal)
  const endpoint = agent.endpoint(null)
  const authorities = await getAuthorities(endpoint)
  const subject = device === null ? emptyName : encodeName([['CN', device]])
  const csr = await createRequest({ key, subject, alternativeNames: null })
  return { issued: await enrol(endpoint, { csr, device, token }), authorities }
}

const askAgain = async (agent: Agent, journal: Journal, previous: number): Promise<Received> => {
  const pair = loadPair(agent.place, previous)
  const endpoint = agent.endpoint(pair)
  const authorities = await getAuthorities(endpoint)
  const { subject, alternativeNames } = pair.leaf
  const csr = await createRequest({ key: requireKey(agent, journal), subject, alternativeNames })
  return { issued: await reenrol(endpoint, csr), authorities }
}

const requireKey = (agent: Agent, journal: Journal) => {
  const held = loadKey(agent.place, journal.pair)
  if (held === null) throw new AgentError('local', `the key of pair ${journal.pair} is missing`)
  return held.key
}

/** Asks for the journal's certificate, as often as it takes with the same key, and returns its checked chain without the root. */
export const receiveChain = async (
  agent: Agent,
  journal: Journal,
  token: string | null,
): Promise<AgentCertificate[]> => {
  if (journal.kind === 'renew' && journal.previous !== null) {
    return checkReceived(agent, journal, await askAgain(agent, journal, journal.previous))
  }
  if (token === null) throw new AgentError('usage', 'the enrolment was not finished; run enroll again with the token')
  return checkReceived(agent, journal, await askFirst(agent, journal, token))
}
