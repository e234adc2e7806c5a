/**
 * Where everything lies under the agent's directory, an absolute path:
 * agent.json (settings, the operator's) · state.json (what the agent remembers) · journal.json (the renewal in progress) ·
 * trust-anchors.pem · current → pairs/<n> · pairs/<n>/{key.pem, certificate.pem, chain.pem} · agent.lock
 */
export const layout = {
  settings: (directory: string) => `${directory}/agent.json`,
  state: (directory: string) => `${directory}/state.json`,
  journal: (directory: string) => `${directory}/journal.json`,
  trustAnchors: (directory: string) => `${directory}/trust-anchors.pem`,
  lock: (directory: string) => `${directory}/agent.lock`,
  current: (directory: string) => `${directory}/current`,
  pairs: (directory: string) => `${directory}/pairs`,
  pair: (directory: string, number: number) => `${directory}/pairs/${number}`,
} as const

/** The files of one pair, by the path of its directory or of `current`. */
export const pairFiles = {
  key: (pair: string) => `${pair}/key.pem`,
  certificate: (pair: string) => `${pair}/certificate.pem`,
  chain: (pair: string) => `${pair}/chain.pem`,
} as const
