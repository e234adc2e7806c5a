declare const EVERLEAF_VERSION: string | undefined

/** Set by the bundler; an agent that runs from its source says so. */
export const agentVersion = `everleaf-agent/${typeof EVERLEAF_VERSION === 'undefined' ? 'source' : EVERLEAF_VERSION}`
