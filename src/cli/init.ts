import type { Command } from 'commander'
import { systemRandom } from '../random/system.ts'
import { details } from './format.ts'
import { example } from './options.ts'
import type { Session } from './session.ts'

export function addInit(program: Command, session: Session): void {
  program
    .command('init')
    .description('make the data directory: CAs, passphrase, admin token, configuration, database')
    .addHelpText('after', example('everleaf init', 'EVERLEAF_DATA=/var/lib/everleaf everleaf init'))
    .action(async () => {
      const { initialise } = await import('./initialise.ts')
      const made = await initialise(session.config(), { clock: session.clock, random: systemRandom })
      session.print(made, () =>
        [
          details([
            ['Data', made.data],
            ['Configuration', made.config],
            ['Root SHA-256', made.fingerprint],
          ]),
          '',
          'Keep the passphrase apart from backups of the data: whoever has both has the CAs.',
          'Next: read the configuration, then start with "everleaf serve".',
        ].join('\n'),
      )
    })
}
