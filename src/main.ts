import { runCommand } from './cli/program.ts'
import { processTerminal } from './cli/terminal.ts'
import { systemClock } from './clock/system.ts'

/** What a command leaves running, such as a gateway's reload that never ends, must not keep the process. */
const grace = 1_000

process.exitCode = await runCommand(process.argv.slice(2), processTerminal(), systemClock)
AbortSignal.timeout(grace).addEventListener('abort', () => process.exit())
