import type { ChildProcess } from 'node:child_process'
import { AgentError, reasonOf } from './error.ts'

export interface HookCall {
  /** Program and arguments; no shell. */
  command: readonly string[]
  environment: Record<string, string>
  /** When it aborts, the hook and what it started are killed. */
  deadline: AbortSignal
}

/** Resolves when the hook exited with 0; throws AgentError `hook` otherwise. */
export type RunHook = (call: HookCall) => Promise<void>

/** The token is for this process alone. */
const inherited = (): NodeJS.ProcessEnv => {
  const { EVERLEAF_TOKEN: _, ...rest } = process.env
  return rest
}

const outcome = (code: number | null, signal: string | null): string =>
  code === null ? `was ended by ${signal}` : `exited with ${code}`

/**
 * The hook leads a group of its own, so that a shell's children die with it. Says how that went: what runs under sudo may not be killed
 * by us, and is left alone then.
 */
const killGroup = (leader: number): string => {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') return `could not be killed: ${reasonOf(error)}`
  }
  return 'was killed'
}

const ended = (child: ChildProcess, { command, deadline }: HookCall): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = (fault: string | null) => {
      deadline.removeEventListener('abort', onDeadline)
      if (fault === null) resolve()
      else reject(new AgentError('hook', `hook ${command[0]} ${fault}`))
    }
    const onDeadline = () => {
      settle(`took too long and ${child.pid === undefined ? 'never began' : killGroup(child.pid)}`)
    }
    deadline.addEventListener('abort', onDeadline)
    child.once('error', (error) => settle(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => settle(code === 0 ? null : outcome(code, signal)))
  })

export const runHook: RunHook = async (call) => {
  /** Loaded when there is a hook at all: it takes 3 MB of memory. */
  const { spawn } = await import('node:child_process')
  const [program = '', ...parameters] = call.command
  const child = spawn(program, parameters, {
    env: { ...inherited(), ...call.environment },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  })
  return ended(child, call)
}
