import type { Command } from 'commander'
import { example } from './options.ts'
import { createProgress } from './progress.ts'
import type { Session } from './session.ts'

export function addBackup(program: Command, session: Session): void {
  program
    .command('backup')
    .description('copy database, CAs and configuration into a new directory, while the server runs or not')
    .argument('<directory>', 'must not exist yet')
    .addHelpText('after', example('everleaf backup /mnt/backup/everleaf-$(date +%F)'))
    .action(async (directory: string) => {
      const { backUp } = await import('./backup-directory.ts')
      const progress = createProgress('copying the database', session.terminal)
      const made = await backUp(session.config(), directory, progress.show).finally(progress.end)
      session.print(made, () =>
        [
          `Backup in ${made.directory}: ${made.files.join(', ')}.`,
          'Not in it: the passphrase of the CA keys and the admin token. Keep the passphrase in another place.',
        ].join('\n'),
      )
    })
}
