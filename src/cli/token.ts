import type { Command } from 'commander'
import { whenExactly } from './format.ts'
import { example, label } from './options.ts'
import type { Session } from './session.ts'

export interface TokenAnswer {
  token: string
  device: string
  profile: string
  expiresAt: string
  server: string
  fingerprint: string
  command: string
}

interface CreateOptions {
  device: string
  profile?: string
  ttl?: string
  label?: Record<string, string>
}

export function addToken(program: Command, session: Session): void {
  const token = program.command('token').description('one-time enrolment tokens')
  token
    .command('create')
    .description('make a token with which one device enrols once, and print the command to type there')
    .requiredOption('--device <id>', 'id of the device, for good')
    .option('--profile <name>', 'profile of its certificates (otherwise the only one)')
    .option('--ttl <time>', 'how long the token can be used, e.g. 15m, 1h, 7d (otherwise 1h)')
    .option('--label <name=value>', 'label of the device, for templates and lists; may be repeated', label)
    .addHelpText('after', example('everleaf token create --device truck-7 --profile device --ttl 1h --label site=oslo'))
    .action(async ({ device, profile, ttl, label: labels }: CreateOptions) => {
      const answer = await session.client().post<TokenAnswer>('tokens', { device, profile, ttl, labels })
      session.print(answer, () => words(answer, session.clock.now()))
    })
}

const words = ({ device, profile, expiresAt, command }: TokenAnswer, now: number): string =>
  [
    `Token for ${device} under profile ${profile}, good once until ${whenExactly(expiresAt, now)}.`,
    'At the device, type:',
    '',
    `  ${command}`,
    '',
  ].join('\n')
