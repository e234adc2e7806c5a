import { type Command, Option } from 'commander'
import { EverleafError, isEverleafError } from '../errors.ts'
import { revocationReasons } from '../pki/revocation-reasons.ts'
import { importFiles } from './certificate-files.ts'
import type { AdminClient } from './client.ts'
import { details, table, when, whenExactly } from './format.ts'
import { example, instant, pageSize, segment } from './options.ts'
import type { Session } from './session.ts'

export interface CertificateAnswer {
  authority: string
  serial: string
  device: string | null
  profile: string | null
  source: string
  state: string
  subject: string
  spkiSha256: string
  notBefore: string
  notAfter: string
  slot: string | null
  renewalOpenedAt: string | null
  predecessor: { authority: string; serial: string } | null
  issuedAt: string
  deliveredAt: string | null
  confirmedAt: string | null
  supersededAt: string | null
}

interface ListOptions {
  device?: string
  state?: string
  source?: string
  expiresBefore?: string
  after?: string
  limit: number
}

const states = ['issued', 'delivered', 'confirmed', 'superseded', 'revoked', 'expired']
const sources = ['issued', 'listener', 'authority', 'imported', 'partner']

export function addCerts(program: Command, session: Session): void {
  const certs = program.command('certs').description('certificates: issued here, or watched')
  addList(certs, session)
  addShow(certs, session)
  addWhy(certs, session)
  addRevoke(certs, session)
  addImport(certs, session)
}

const addList = (certs: Command, session: Session): void => {
  certs
    .command('list')
    .description('list certificates by authority and serial')
    .option('--device <id>', 'only of this device')
    .addOption(new Option('--state <state>', 'only those').choices(states))
    .addOption(new Option('--source <source>', 'only those').choices(sources))
    .option('--expires-before <date>', 'only those that expire before', instant)
    .option('--after <authority/serial>', 'go on behind this one')
    .option('--limit <n>', 'at most this many, 1 to 1000', pageSize, 100)
    .addHelpText('after', example('everleaf certs list --state confirmed --expires-before 2027-01-31'))
    .action(async ({ device, state, source, expiresBefore, after, limit }: ListOptions) => {
      const query = { device, state, source, expiresBefore, after, limit }
      const answer = await session
        .client()
        .get<{ certificates: CertificateAnswer[]; next: string | null }>('certificates', query)
      session.print(answer, () => listWords(answer.certificates, session.clock.now()))
      if (answer.next !== null && !session.isJson()) session.note(`more: --after ${answer.next}`)
    })
}

const serialHelp = 'serial number, or authority/serial as in lists'

const addShow = (certs: Command, session: Session): void => {
  certs
    .command('show')
    .description('show a certificate')
    .argument('<serial>', serialHelp)
    .option('--pem', 'print its PEM text only')
    .addHelpText(
      'after',
      example('everleaf certs show 4f7d0c…', 'everleaf certs show 4f7d0c… --pem | openssl x509 -text'),
    )
    .action(async (name: string, { pem }: { pem?: boolean }) => {
      const certificate = await find(session.client(), name)
      session.print(certificate, () => (pem ? certificate.pem.trimEnd() : showWords(certificate, session.clock.now())))
    })
}

const addWhy = (certs: Command, session: Session): void => {
  certs
    .command('why')
    .description('say why a certificate is as it is and what happens to it next')
    .argument('<serial>', serialHelp)
    .addHelpText('after', example('everleaf certs why 4f7d0c…'))
    .action(async (name: string) => {
      const client = session.client()
      const answer = await client.get<{ lines: string[] }>(`${pathOf(await find(client, name))}/why`)
      session.print(answer, () => answer.lines.join('\n'))
    })
}

const addRevoke = (certs: Command, session: Session): void => {
  certs
    .command('revoke')
    .description('revoke a certificate and those that were got by it, for good')
    .argument('<serial>', serialHelp)
    .addOption(new Option('--reason <reason>', 'why').choices(revocationReasons).default('unspecified'))
    .option('--yes', 'do not ask')
    .addHelpText('after', example('everleaf certs revoke 4f7d0c… --reason keyCompromise --yes'))
    .action(async (name: string, { reason, yes }: { reason: string; yes?: boolean }) => {
      const client = session.client()
      const certificate = await find(client, name)
      const question = `Revoke ${certificate.serial} (${certificate.subject}, ${certificate.state}), for good?`
      if (!yes && !(await session.confirm(question))) throw new EverleafError('refused', 'nothing was changed')
      const answer = await client.post<{ message: string; serials: string[] }>(`${pathOf(certificate)}/revoke`, {
        reason,
      })
      session.print(answer, () => [answer.message, ...answer.serials.map((serial) => `  ${serial}`)].join('\n'))
    })
}

const addImport = (certs: Command, session: Session): void => {
  certs
    .command('import')
    .description('watch certificates that were issued elsewhere and be told before they expire')
    .argument('<path...>', 'PEM files, or directories of them')
    .addOption(new Option('--source <source>', 'whose they are').choices(['imported', 'partner']).default('imported'))
    .addHelpText('after', example('everleaf certs import ./partner-certificates --source partner'))
    .action(async (paths: string[], { source }: { source: string }) => {
      const answer = await importFiles(paths, source, session)
      session.print(answer, () =>
        [
          `imported: ${answer.imported.length}, known already: ${answer.duplicates.length}`,
          ...answer.duplicates.map((serial) => `  known already: ${serial}`),
        ].join('\n'),
      )
    })
}

const pathOf = ({ authority, serial }: { authority: string; serial: string }): string =>
  `certificates/${segment(authority)}/${segment(serial)}`

/** By "authority/serial", or by serial alone among this server's authorities. */
async function find(client: AdminClient, name: string): Promise<CertificateAnswer & { pem: string }> {
  const slash = name.lastIndexOf('/')
  if (slash > 0) return client.get(pathOf({ authority: name.slice(0, slash), serial: name.slice(slash + 1) }))
  const { authorities } = await client.get<{ authorities: Array<{ id: string }> }>('authorities')
  for (const { id } of authorities) {
    try {
      return await client.get(pathOf({ authority: id, serial: name }))
    } catch (error) {
      if (!isEverleafError(error, 'not-found')) throw error
    }
  }
  const known = authorities.map(({ id }) => id).join(', ')
  throw new EverleafError(
    'not-found',
    `no certificate ${name} of ${known}; one from elsewhere is named authority/serial`,
  )
}

const listWords = (certificates: readonly CertificateAnswer[], now: number): string =>
  table(
    ['SERIAL', 'AUTHORITY', 'DEVICE', 'STATE', 'EXPIRES', 'RENEWAL DUE', 'SOURCE'],
    certificates.map(({ serial, authority, device, state, notAfter, slot, source }) => [
      serial,
      authority,
      device ?? '-',
      state,
      when(notAfter, now),
      when(slot, now),
      source,
    ]),
  )

const showWords = (certificate: CertificateAnswer, now: number): string =>
  details([
    ['Serial', certificate.serial],
    ['Authority', certificate.authority],
    ['Subject', certificate.subject],
    ['Device', certificate.device],
    ['Profile', certificate.profile],
    ['Source', certificate.source],
    ['State', certificate.state],
    ['Valid from', whenExactly(certificate.notBefore, now)],
    ['Expires', whenExactly(certificate.notAfter, now)],
    ['Renewal due', whenExactly(certificate.slot, now)],
    ['Renewal open', whenExactly(certificate.renewalOpenedAt, now)],
    ['Predecessor', certificate.predecessor?.serial ?? null],
    ['Recorded', whenExactly(certificate.issuedAt, now)],
    ['Delivered', whenExactly(certificate.deliveredAt, now)],
    ['Confirmed', whenExactly(certificate.confirmedAt, now)],
    ['Superseded', whenExactly(certificate.supersededAt, now)],
    ['Key SHA-256', certificate.spkiSha256],
  ])
