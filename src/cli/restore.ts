import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { EverleafError } from '../errors.ts'
import { systemRandom } from '../random/system.ts'
import { example } from './options.ts'
import { createProgress } from './progress.ts'
import type { Restored } from './restore-directory.ts'
import type { Session } from './session.ts'

export function addRestore(program: Command, session: Session): void {
  program
    .command('restore')
    .description('put a backup in place of what is here, while the server is stopped; no revocation gets lost')
    .argument('<directory>', 'made by "everleaf backup"')
    .option('--yes', 'do not ask')
    .addHelpText('after', example('everleaf restore /mnt/backup/everleaf-2027-01-31'))
    .action(async (directory: string, { yes }: { yes?: boolean }) => {
      const { restoreFrom } = await import('./restore-directory.ts')
      const config = session.config()
      const question = `Replace ${config.store.file} (it is kept under another name) by the backup in ${directory}?`
      if (!yes && existsSync(config.store.file) && !(await session.confirm(question)))
        throw new EverleafError('refused', 'nothing was changed')
      const progress = createProgress('copying the database', session.terminal)
      const ports = { clock: session.clock, random: systemRandom, progress: progress.show, reload: session.config }
      const restored = await restoreFrom(config, directory, ports).finally(progress.end)
      session.print(restored, () => words(restored))
    })
}

const words = ({ database, replaced, carried, unread, authorities, keys }: Restored): string => {
  const taken = Object.entries(carried).filter(([, count]) => count > 0)
  return [
    `Restored ${database}.`,
    ...(replaced === null ? [] : [`The replaced database is kept as ${replaced}.`]),
    ...(taken.length > 0
      ? [
          `Taken over from it, because the backup did not know: ${taken.map(([kind, count]) => `${count} ${kind}`).join(', ')}.`,
        ]
      : []),
    ...unread.map((what) => `Could not be read there, and may be lost: ${what}.`),
    ...(authorities.length > 0 ? [`CAs put back: ${authorities.join(', ')}.`] : []),
    ...(keys === null ? [] : [`The CA keys do not open yet: ${keys}.`]),
    'Start the server: it compares with the published CRLs before it publishes anything.',
  ].join('\n')
}
