import type { Command } from 'commander'
import { table, when } from './format.ts'
import { example, segment } from './options.ts'
import type { Session } from './session.ts'

interface DeadLetterAnswer {
  name: string
  id: string
  payload: Record<string, unknown>
  attempts: number
  failedAt: string
  reason: string
}

export function addDeadLetters(program: Command, session: Session): void {
  const deadLetters = program.command('dead-letters').description('jobs that failed for good')
  deadLetters
    .command('list')
    .description('list them with the reason')
    .addHelpText('after', example('everleaf dead-letters list'))
    .action(async () => {
      const answer = await session.client().get<{ deadLetters: DeadLetterAnswer[] }>('dead-letters')
      session.print(answer, () => words(answer.deadLetters, session.clock.now()))
    })

  deadLetters
    .command('retry')
    .description('put one back, once its cause is mended')
    .argument('<name>', 'name of the job')
    .argument('<id>', 'its id')
    .addHelpText('after', example('everleaf dead-letters retry sync-gateway edge'))
    .action(async (name: string, id: string) => {
      const answer = await session.client().post<object>(`dead-letters/${segment(name)}/${segment(id)}/retry`)
      session.print(answer, () => `${name} ${id} is tried again`)
    })
}

const words = (letters: readonly DeadLetterAnswer[], now: number): string =>
  table(
    ['JOB', 'ID', 'ATTEMPTS', 'FAILED', 'REASON'],
    letters.map(({ name, id, attempts, failedAt, reason }) => [
      name,
      id,
      String(attempts),
      when(failedAt, now),
      reason,
    ]),
  )
