import { type Command, Option } from 'commander'
import { EverleafError } from '../errors.ts'
import { revocationReasons } from '../pki/revocation-reasons.ts'
import type { CertificateAnswer } from './certs.ts'
import { details, table, when, whenExactly } from './format.ts'
import { example, pageSize, segment } from './options.ts'
import type { Session } from './session.ts'

interface DeviceAnswer {
  id: string
  profile: string
  labels: Record<string, string>
  state: string
  createdAt: string
  lastContactAt: string | null
  agentVersion: string | null
  lastError: string | null
}

interface ListAnswer {
  devices: DeviceAnswer[]
  next: string | null
}

export function addDevices(program: Command, session: Session): void {
  const devices = program.command('devices').description('endpoints with an identity')
  devices
    .command('list')
    .description('list devices by id')
    .addOption(new Option('--state <state>', 'only those').choices(['active', 'retired']))
    .option('--after <id>', 'go on behind this one')
    .option('--limit <n>', 'at most this many, 1 to 1000', pageSize, 100)
    .addHelpText('after', example('everleaf devices list --state active --limit 20'))
    .action(async (query: { state?: string; after?: string; limit: number }) => {
      const answer = await session.client().get<ListAnswer>('devices', query)
      session.print(answer, () => listWords(answer.devices, session.clock.now()))
      if (answer.next !== null && !session.isJson()) session.note(`more: --after ${answer.next}`)
    })

  devices
    .command('show')
    .description('show a device and its certificates')
    .argument('<id>')
    .addHelpText('after', example('everleaf devices show truck-7'))
    .action(async (id: string) => {
      const client = session.client()
      const device = await client.get<DeviceAnswer>(`devices/${segment(id)}`)
      const { certificates } = await client.get<{ certificates: CertificateAnswer[] }>('certificates', {
        device: id,
        limit: 1000,
      })
      session.print({ ...device, certificates }, () => showWords(device, certificates, session.clock.now()))
    })

  devices
    .command('retire')
    .description('take a device out of service and revoke every certificate that it has')
    .argument('<id>')
    .addOption(new Option('--reason <reason>', 'why').choices(revocationReasons).default('cessationOfOperation'))
    .option('--yes', 'do not ask')
    .addHelpText('after', example('everleaf devices retire truck-7 --reason keyCompromise --yes'))
    .action(async (id: string, { reason, yes }: { reason: string; yes?: boolean }) => {
      const question = `Retire device ${id} and revoke its certificates, for good?`
      if (!yes && !(await session.confirm(question))) throw new EverleafError('refused', 'nothing was changed')
      const answer = await session.client().post<{ revoked: number }>(`devices/${segment(id)}/retire`, { reason })
      session.print(answer, () => `${id} is retired; certificates revoked: ${answer.revoked}`)
    })
}

const listWords = (devices: readonly DeviceAnswer[], now: number): string =>
  table(
    ['DEVICE', 'PROFILE', 'STATE', 'LAST SEEN', 'AGENT', 'LAST ERROR'],
    devices.map(({ id, profile, state, lastContactAt, agentVersion, lastError }) => [
      id,
      profile,
      state,
      when(lastContactAt, now),
      agentVersion ?? '-',
      lastError ?? '-',
    ]),
  )

const showWords = (device: DeviceAnswer, certificates: readonly CertificateAnswer[], now: number): string => {
  const labels = Object.entries(device.labels).map(([name, value]) => `${name}=${value}`)
  const head = details([
    ['Device', device.id],
    ['Profile', device.profile],
    ['State', device.state],
    ['Labels', labels.length > 0 ? labels.join(' ') : '-'],
    ['Created', whenExactly(device.createdAt, now)],
    ['Last seen', whenExactly(device.lastContactAt, now) ?? 'never'],
    ['Agent', device.agentVersion],
    ['Last error', device.lastError],
  ])
  const rows = certificates
    .toSorted((left, right) => Date.parse(right.issuedAt) - Date.parse(left.issuedAt))
    .map(({ serial, state, notAfter, slot }) => [serial, state, when(notAfter, now), when(slot, now)])
  return `${head}\n\n${table(['CERTIFICATE', 'STATE', 'EXPIRES', 'RENEWAL DUE'], rows)}`
}
