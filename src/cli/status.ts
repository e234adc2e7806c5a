import type { Command } from 'commander'
import { details } from './format.ts'
import { example } from './options.ts'
import type { Session } from './session.ts'

interface StatusAnswer {
  version: string
  time: string
  ready: boolean
  reasons: string[]
  listeners: Record<string, string>
  deviceUrl: string
  publicUrl: string
  authority: string
  fingerprint: string
  profiles: string[]
  certificates: Record<string, number>
  gateways: Record<string, string>
  deadLetters: number
}

export function addStatus(program: Command, session: Session): void {
  program
    .command('status')
    .description('show how the running server stands')
    .addHelpText('after', example('everleaf status'))
    .action(async () => {
      const answer = await session.client().get<StatusAnswer>('status')
      session.print(answer, () => words(answer))
    })
}

const listText = (record: Record<string, string | number>, between: string): string =>
  Object.entries(record)
    .map(([name, value]) => `${name}${between}${value}`)
    .join(', ') || '-'

const words = (status: StatusAnswer): string =>
  details([
    ['Version', status.version],
    ['Ready', status.ready ? 'yes' : `no: ${status.reasons.join('; ')}`],
    ['Listeners', listText(status.listeners, ' ')],
    ['Devices use', status.deviceUrl],
    ['Public', status.publicUrl],
    ['Issuing', status.authority],
    ['Root SHA-256', status.fingerprint],
    ['Profiles', status.profiles.join(', ')],
    ['Certificates', listText(status.certificates, ' ')],
    ['Gateways', listText(status.gateways, ' ')],
    ['Dead letters', String(status.deadLetters)],
  ])
