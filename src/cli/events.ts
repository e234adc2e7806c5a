import type { Command } from 'commander'
import { plain } from './format.ts'
import { example, pageSize } from './options.ts'
import type { Session } from './session.ts'

interface EventAnswer {
  sequence: number
  id: string
  time: string
  detailType: string
  subject: string
  detail: Record<string, unknown>
}

interface EventsAnswer {
  events: EventAnswer[]
  next: number
}

const pollEvery = 1000

export function addEvents(program: Command, session: Session): void {
  const events = program.command('events').description('what happened')
  events
    .command('tail')
    .description('print the newest events, one a line')
    .option('-n, --lines <n>', 'how many, 1 to 1000', pageSize, 20)
    .option('-f, --follow', 'go on with those that come')
    .addHelpText('after', example('everleaf events tail', 'everleaf events tail --follow --json | jq .detailType'))
    .action(async ({ lines, follow }: { lines: number; follow?: boolean }) => {
      const client = session.client()
      let answer = await client.get<EventsAnswer>('events', { limit: lines })
      show(answer.events, session)
      while (follow) {
        await session.clock.sleep(pollEvery)
        answer = await client.get<EventsAnswer>('events', { after: answer.next, limit: 1000 })
        show(answer.events, session)
      }
    })
}

const show = (events: readonly EventAnswer[], session: Session): void => {
  for (const event of events) session.print(event, () => words(event))
}

const words = ({ time, detailType, subject, detail }: EventAnswer): string => {
  const fields = Object.entries(detail).map(([name, value]) => `${name}=${valueText(value)}`)
  return plain([time, detailType.padEnd(24), subject, ...fields].join('  '))
}

const valueText = (value: unknown): string =>
  typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value)
