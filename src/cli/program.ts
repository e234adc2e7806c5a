import { Command, CommanderError } from 'commander'
import type { Clock } from '../clock/clock.ts'
import { isEverleafError, messageOf } from '../errors.ts'
import { version } from '../version.ts'
import { addAuthority } from './authority.ts'
import { addBackup } from './backup.ts'
import { addCerts } from './certs.ts'
import { addCrl } from './crl.ts'
import { addDeadLetters } from './dead-letters.ts'
import { addDevices } from './devices.ts'
import { addEvents } from './events.ts'
import { addGateways } from './gateways.ts'
import { addInit } from './init.ts'
import { addRestore } from './restore.ts'
import { addServe } from './serve.ts'
import { createSession, type GlobalOptions, type Session, type Terminal } from './session.ts'
import { addStatus } from './status.ts'
import { addToken } from './token.ts'
import { addTruststore } from './truststore.ts'

const commands: ReadonlyArray<(program: Command, session: Session) => void> = [
  addInit,
  addServe,
  addStatus,
  addBackup,
  addRestore,
  addToken,
  addDevices,
  addCerts,
  addAuthority,
  addTruststore,
  addCrl,
  addGateways,
  addEvents,
  addDeadLetters,
]

const description = `Everleaf keeps every leaf alive: it issues, renews, revokes and publishes mutual-TLS client certificates.

Commands on devices, certificates and what is published talk to the running server ("npm start").
Exit: 0 done, 1 refused or failed (the reason is on stderr), 2 wrong usage.`

/** Runs one command line (without program name) and answers the exit code. */
export async function runCommand(argv: readonly string[], terminal: Terminal, clock: Clock): Promise<number> {
  const program = new Command('everleaf')
  const session = createSession({ terminal, clock, options: () => program.opts<GlobalOptions>() })
  program
    .description(description)
    .version(version, '--version', 'print the version')
    .option('--json', 'print one line of JSON for programs')
    .option('--config <file>', 'configuration file (otherwise $EVERLEAF_CONFIG, ./everleaf.yaml, <data>/everleaf.yaml)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .showSuggestionAfterError()
    .exitOverride()
  for (const add of commands) add(program, session)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    // A mistake of ours is told with the place where it happened.
    const words = isEverleafError(error) ? error.message : error instanceof Error ? error.stack : messageOf(error)
    terminal.err(`everleaf: ${words}\n`)
    return 1
  }
}
