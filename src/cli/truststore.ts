import type { Command } from 'commander'
import { details, table, when, whenExactly } from './format.ts'
import { example, positiveInteger } from './options.ts'
import type { Session } from './session.ts'

interface AnchorAnswer {
  fingerprint: string
  subject: string
  source: string
  state: string
  notAfter: string
}

interface TruststoreAnswer {
  version: number
  digest: string
  publishedAt: string
  anchors: AnchorAnswer[]
  pem: string
}

interface PlanAnswer {
  version: number
  added: string[]
  removed: string[]
  lost: string[]
  violations: string[]
  anchors: AnchorAnswer[]
  pem: string
}

export interface DecisionAnswer {
  act: string
  reason: string
  message: string
}

export function addTruststore(program: Command, session: Session): void {
  const truststore = program.command('truststore').description('the bundle of CAs that gateways trust')
  truststore
    .command('show')
    .description('show what is published')
    .option('--pem', 'print the PEM text only')
    .addHelpText('after', example('everleaf truststore show', 'everleaf truststore show --pem > truststore.pem'))
    .action(async ({ pem }: { pem?: boolean }) => {
      const answer = await session.client().get<TruststoreAnswer>('truststore')
      session.print(answer, () => (pem ? answer.pem.trimEnd() : showWords(answer, session.clock.now())))
    })

  truststore
    .command('plan')
    .description('show what the next version would change, and change nothing')
    .option('--pem', 'print the PEM text only')
    .addHelpText('after', example('everleaf truststore plan'))
    .action(async ({ pem }: { pem?: boolean }) => {
      const answer = await session.client().get<PlanAnswer>('truststore/plan')
      session.print(answer, () => (pem ? answer.pem.trimEnd() : planWords(answer, session.clock.now())))
    })

  truststore
    .command('publish')
    .description('publish the next version where one is due')
    .option('--force', 'publish although nothing changed')
    .addHelpText('after', example('everleaf truststore publish'))
    .action(async ({ force = false }: { force?: boolean }) => {
      const answer = await session.client().post<DecisionAnswer>('truststore/publish', { force })
      session.print(answer, () => answer.message)
    })

  truststore
    .command('rollback')
    .description('publish the CAs of an earlier version under a new number')
    .argument('<version>', 'number of the earlier version', positiveInteger)
    .addHelpText('after', example('everleaf truststore rollback 3'))
    .action(async (version: number) => {
      const answer = await session.client().post<DecisionAnswer>('truststore/rollback', { version })
      session.print(answer, () => answer.message)
    })
}

const anchorsTable = (anchors: readonly AnchorAnswer[], now: number): string =>
  table(
    ['SHA-256', 'SUBJECT', 'SOURCE', 'STATE', 'EXPIRES'],
    anchors.map(({ fingerprint, subject, source, state, notAfter }) => [
      fingerprint,
      subject,
      source,
      state,
      when(notAfter, now),
    ]),
  )

const showWords = ({ version, digest, publishedAt, anchors }: TruststoreAnswer, now: number): string => {
  const head = details([
    ['Version', String(version)],
    ['Published', whenExactly(publishedAt, now)],
    ['SHA-256', digest],
  ])
  return `${head}\n\n${anchorsTable(anchors, now)}`
}

const planWords = (plan: PlanAnswer, now: number): string => {
  const changes = [
    ...plan.added.map((fingerprint) => `  + ${fingerprint}`),
    ...plan.removed.map((fingerprint) => `  - ${fingerprint}`),
    ...plan.lost.map((fingerprint) => `  ! ${fingerprint} would be lost without having been retired: refused`),
    ...plan.violations.map((violation) => `  ! ${violation}`),
  ]
  const head = changes.length > 0 ? `Version ${plan.version} would change:` : `Version ${plan.version}: no change`
  return [head, ...changes, '', anchorsTable(plan.anchors, now)].join('\n')
}
