import { type Agent, noteFailure, noteSuccess } from './agent.ts'
import { AgentError, codeOf } from './error.ts'
import { type Round, round, settle } from './round.ts'

/** One round for a timer: nothing stays resident. Throws what failed; the next call goes on from there. */
export const renewOnce = async (agent: Agent, { force }: { force: boolean }): Promise<Round> => {
  try {
    await settle(agent, { hook: 'now' })
    const done = await round(agent, { forced: force })
    noteSuccess(agent)
    const journal = await settle(agent, { hook: 'now' })
    if (journal?.step === 'switched') throw new AgentError('hook', journal.hook.error ?? 'the hook is owed')
    return done
  } catch (error) {
    if (codeOf(error) !== 'hook') noteFailure(agent, error, null)
    throw error
  } finally {
    agent.disconnect()
  }
}
