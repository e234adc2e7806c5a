import type { Command } from 'commander'
import { example } from './options.ts'
import type { Session } from './session.ts'

export function addRestore(program: Command, _session: Session): void {
  program
    .command('restore')
    .description('put a backup in place of what is here, while the server is stopped')
    .argument('<directory>', 'a backup')
    .addHelpText('after', example('everleaf restore /mnt/backup/everleaf-2027-01-31'))
}
