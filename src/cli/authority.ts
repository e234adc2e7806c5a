import type { Command } from 'commander'
import { EverleafError } from '../errors.ts'
import { details, table, when, whenExactly } from './format.ts'
import { example } from './options.ts'
import type { Session } from './session.ts'

interface AuthorityAnswer {
  id: string
  subject: string
  serial: string
  fingerprint: string
  notBefore: string
  notAfter: string
  issues: boolean
  signsCrls: boolean
  root: string
  pem: string
}

const fetchAll = async (session: Session) =>
  (await session.client().get<{ authorities: AuthorityAnswer[] }>('authorities')).authorities

export function addAuthority(program: Command, session: Session): void {
  const authority = program.command('authority').description('the CAs of this server')
  authority
    .command('list')
    .description('list the CAs')
    .addHelpText('after', example('everleaf authority list'))
    .action(async () => {
      const authorities = await fetchAll(session)
      session.print({ authorities }, () => listWords(authorities, session.clock.now()))
    })

  authority
    .command('show')
    .description('show a CA')
    .argument('<id>')
    .option('--pem', 'print its certificate as PEM text only')
    .addHelpText(
      'after',
      example('everleaf authority show issuing-g1', 'everleaf authority show root-g1 --pem > root.pem'),
    )
    .action(async (id: string, { pem }: { pem?: boolean }) => {
      const authorities = await fetchAll(session)
      const found = authorities.find((candidate) => candidate.id === id)
      if (found === undefined) {
        const known = authorities.map((candidate) => candidate.id).join(', ')
        throw new EverleafError('not-found', `no authority ${id}; there are ${known}`)
      }
      session.print(found, () => (pem ? found.pem.trimEnd() : showWords(found, session.clock.now())))
    })
}

const rolesOf = ({ issues, signsCrls }: AuthorityAnswer): string =>
  [issues ? 'issues' : '', signsCrls ? 'signs CRLs' : ''].filter((role) => role !== '').join(', ') || '-'

const listWords = (authorities: readonly AuthorityAnswer[], now: number): string =>
  table(
    ['AUTHORITY', 'SUBJECT', 'EXPIRES', 'DOES'],
    authorities.map((authority) => [
      authority.id,
      authority.subject,
      when(authority.notAfter, now),
      rolesOf(authority),
    ]),
  )

const showWords = (authority: AuthorityAnswer, now: number): string =>
  details([
    ['Authority', authority.id],
    ['Subject', authority.subject],
    ['Serial', authority.serial],
    ['Valid from', whenExactly(authority.notBefore, now)],
    ['Expires', whenExactly(authority.notAfter, now)],
    ['Does', rolesOf(authority)],
    ['SHA-256', authority.fingerprint],
    ['Root SHA-256', authority.root],
  ])
