import { join } from 'node:path'

/**
 * Where everything lies under the agent's directory:
 * agent.json (settings, the operator's) · state.json (what the agent remembers) · journal.json (the renewal in progress) ·
 * trust-anchors.pem · current → pairs/<n> · pairs/<n>/{key.pem, certificate.pem, chain.pem} · agent.lock
 */
export const layout = {
  settings: (directory: string) => join(directory, 'agent.json'),
  state: (directory: string) => join(directory, 'state.json'),
  journal: (directory: string) => join(directory, 'journal.json'),
  trustAnchors: (directory: string) => join(directory, 'trust-anchors.pem'),
  lock: (directory: string) => join(directory, 'agent.lock'),
  current: (directory: string) => join(directory, 'current'),
  pairs: (directory: string) => join(directory, 'pairs'),
  pair: (directory: string, number: number) => join(directory, 'pairs', String(number)),
} as const

export const pairFiles = { key: 'key.pem', certificate: 'certificate.pem', chain: 'chain.pem' } as const
