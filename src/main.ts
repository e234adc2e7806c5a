import { runCommand } from './cli/program.ts'
import { processTerminal } from './cli/terminal.ts'
import { systemClock } from './clock/system.ts'

process.exitCode = await runCommand(process.argv.slice(2), processTerminal(), systemClock)
