import type { Command } from 'commander'
import { table, when } from './format.ts'
import { example, segment } from './options.ts'
import type { Session } from './session.ts'
import type { DecisionAnswer } from './truststore.ts'

interface CrlAnswer {
  authority: string
  shard: number
  number: string
  thisUpdate: string
  nextUpdate: string
  entries: number
  digest: string
}

export function addCrl(program: Command, session: Session): void {
  const crl = program.command('crl').description('certificate revocation lists')
  crl
    .command('show')
    .description('show the published CRLs')
    .addHelpText('after', example('everleaf crl show'))
    .action(async () => {
      const answer = await session.client().get<{ crls: CrlAnswer[] }>('crls')
      session.print(answer, () => words(answer.crls, session.clock.now()))
    })

  crl
    .command('publish')
    .description('publish a CRL where one is due')
    .argument('[authority]', 'of this CA (otherwise of each)')
    .option('--force', 'publish although none is due')
    .addHelpText('after', example('everleaf crl publish', 'everleaf crl publish issuing-g1 --force'))
    .action(async (authority: string | undefined, { force = false }: { force?: boolean }) => {
      const client = session.client()
      const published: Array<DecisionAnswer & { authority: string }> = []
      for (const id of authority === undefined ? await signersOf(session) : [authority]) {
        const decision = await client.post<DecisionAnswer>(`crls/${segment(id)}/publish`, { force })
        published.push({ authority: id, ...decision })
      }
      session.print({ published }, () => published.map(({ authority: id, message }) => `${id}: ${message}`).join('\n'))
    })
}

const signersOf = async (session: Session): Promise<string[]> => {
  const answer = await session.client().get<{ authorities: Array<{ id: string; signsCrls: boolean }> }>('authorities')
  return answer.authorities.filter(({ signsCrls }) => signsCrls).map(({ id }) => id)
}

const words = (crls: readonly CrlAnswer[], now: number): string =>
  table(
    ['AUTHORITY', 'SHARD', 'NUMBER', 'ENTRIES', 'THIS UPDATE', 'NEXT UPDATE', 'SHA-256'],
    crls.map(({ authority, shard, number, entries, thisUpdate, nextUpdate, digest }) => [
      authority,
      String(shard),
      number,
      String(entries),
      when(thisUpdate, now),
      when(nextUpdate, now),
      digest,
    ]),
  )
