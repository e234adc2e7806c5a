import type { Command } from 'commander'
import { EverleafError } from '../errors.ts'
import { details, table, when, whenExactly } from './format.ts'
import { example, segment } from './options.ts'
import type { Session } from './session.ts'
import type { DecisionAnswer } from './truststore.ts'

interface GatewayAnswer {
  name: string
  state: string
  truststoreVersion: number | null
  truststoreDigest: string | null
  crlDigest: string | null
  message: string
  updatedAt: string
}

const fetchAll = async (session: Session) =>
  (await session.client().get<{ gateways: GatewayAnswer[] }>('gateways')).gateways

export function addGateways(program: Command, session: Session): void {
  const gateways = program
    .command('gateways')
    .description('places that enforce mutual TLS with our truststore and CRLs')
  gateways
    .command('list')
    .description('list gateways and what they enforce')
    .addHelpText('after', example('everleaf gateways list'))
    .action(async () => {
      const all = await fetchAll(session)
      session.print({ gateways: all }, () => listWords(all, session.clock.now()))
    })

  gateways
    .command('show')
    .description('show one gateway')
    .argument('<name>')
    .addHelpText('after', example('everleaf gateways show edge'))
    .action(async (name: string) => {
      const all = await fetchAll(session)
      const found = all.find((gateway) => gateway.name === name)
      if (found === undefined) {
        const known = all.map((gateway) => gateway.name).join(', ') || 'none yet'
        throw new EverleafError('not-found', `no gateway ${name}; there are: ${known}`)
      }
      session.print(found, () => showWords(found, session.clock.now()))
    })

  gateways
    .command('sync')
    .description('bring a gateway up to date')
    .argument('<name>')
    .option('--force', 'install and reload although it is up to date')
    .addHelpText('after', example('everleaf gateways sync edge'))
    .action(async (name: string, { force = false }: { force?: boolean }) => {
      const answer = await session.client().post<DecisionAnswer>(`gateways/${segment(name)}/sync`, { force })
      session.print(answer, () => answer.message)
    })
}

const listWords = (gateways: readonly GatewayAnswer[], now: number): string =>
  table(
    ['GATEWAY', 'STATE', 'TRUSTSTORE', 'UPDATED', 'MESSAGE'],
    gateways.map(({ name, state, truststoreVersion, updatedAt, message }) => [
      name,
      state,
      truststoreVersion === null ? '-' : `version ${truststoreVersion}`,
      when(updatedAt, now),
      message,
    ]),
  )

const showWords = (gateway: GatewayAnswer, now: number): string =>
  details([
    ['Gateway', gateway.name],
    ['State', gateway.state],
    ['Message', gateway.message],
    ['Updated', whenExactly(gateway.updatedAt, now)],
    ['Truststore', gateway.truststoreVersion === null ? '-' : `version ${gateway.truststoreVersion}`],
    ['Truststore SHA-256', gateway.truststoreDigest],
    ['CRL SHA-256', gateway.crlDigest],
  ])
