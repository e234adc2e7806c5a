import type { Command } from 'commander'
import { adminEndpoint, type Config } from '../config.ts'
import { EverleafError, messageOf } from '../errors.ts'
import { systemRandom } from '../random/system.ts'
import { type AdminClient, createClient } from './client.ts'
import { details } from './format.ts'
import { createLog } from './log.ts'
import { example } from './options.ts'
import type { Session } from './session.ts'
import { stopSignal } from './stop-signal.ts'
import type { TokenAnswer } from './token.ts'

/** The device that the first command to type is for. */
const firstDevice = 'device-1'

export function addServe(program: Command, session: Session): void {
  program
    .command('serve')
    .description('run the server until SIGTERM or Ctrl-C')
    .option('--init', 'on first use make the data directory, and print how to enrol a first device')
    .addHelpText('after', example('everleaf serve', 'everleaf serve --init'))
    .action(async ({ init = false }: { init?: boolean }) => serve(init, session))
}

async function serve(init: boolean, session: Session): Promise<void> {
  const stop = stopSignal(session.clock)
  try {
    const config = await prepare(init, session)
    const { startDaemon } = await import('../daemon.ts')
    const log = createLog(config.log.level, session.terminal)
    const daemon = await startDaemon({ config, log })
    try {
      // It serves, whether or not its own first words can be put together.
      await tellStarted({ config, addresses: daemon.addresses, init }, session).catch((error) =>
        session.note(`Everleaf is running. What to type next cannot be told: ${messageOf(error)}`),
      )
      await stop.received
      session.note('stopping; once more stops at once')
    } finally {
      await daemon.close()
    }
  } finally {
    stop.release()
  }
}

async function prepare(init: boolean, session: Session): Promise<Config> {
  const { initialise, isInitialised } = await import('./initialise.ts')
  const config = session.config()
  if (await isInitialised(config)) return config
  if (!init)
    throw new EverleafError(
      'configuration',
      `${config.data} is not initialised: run "everleaf init" or "everleaf serve --init"`,
    )
  const made = await initialise(config, { clock: session.clock, random: systemRandom })
  session.note(`made ${made.data}: CAs, passphrase, admin token, configuration, database`)
  // With the file that was just written.
  return session.config()
}

interface Started {
  config: Config
  /** Where each listener is really bound, as "host:port". */
  addresses: { device: string; public: string; admin: string }
  init: boolean
}

async function tellStarted({ config, addresses, init }: Started, session: Session): Promise<void> {
  const endpoint = ownEndpoint(config, addresses.admin)
  const client = createClient(endpoint)
  // A token in the journal of a server that was started by a service manager would be a leak; who asks for --init sits
  // in front of it.
  const enrolment = init ? await firstEnrolment(client) : null
  const status = await client.get<{ deviceUrl: string; publicUrl: string; fingerprint: string }>('status')
  const { deviceUrl, publicUrl, fingerprint } = status
  session.print({ addresses, deviceUrl, publicUrl, fingerprint, enrolment }, () =>
    [
      'Everleaf is running.',
      '',
      details([
        ['  devices', `${deviceUrl}  (listens on ${addresses.device})`],
        ['  public', `${publicUrl}  (listens on ${addresses.public})`],
        ['  admin', `${endpoint.url}  (listens on ${addresses.admin}; token in ${config.listen.admin.tokenFile})`],
        ['  root', `SHA-256 ${fingerprint}`],
      ]),
      '',
      ...(enrolment === null ? nextWords : enrolmentWords(enrolment)),
      '',
    ].join('\n'),
  )
  for (const warning of warningsOf(config)) session.note(warning)
}

/** Of this very server, whatever the environment says of others. */
function ownEndpoint(config: Config, address: string): { url: string; token: string } {
  const port = Number(address.slice(address.lastIndexOf(':') + 1))
  const { listen } = config
  return adminEndpoint({ ...config, listen: { ...listen, admin: { ...listen.admin, port } } }, {})
}

/** A token for the first device, where there is no device yet. */
async function firstEnrolment(client: AdminClient): Promise<TokenAnswer | null> {
  const { devices } = await client.get<{ devices: unknown[] }>('devices', { limit: 1 })
  return devices.length > 0 ? null : client.post<TokenAnswer>('tokens', { device: firstDevice, ttl: '1h' })
}

const enrolmentWords = ({ command }: TokenAnswer): string[] => [
  'Enrol a first device. In another terminal, type (good once, for an hour):',
  '',
  `  ${command}`,
]

const nextWords = [
  'Look around, or enrol a device, from another terminal:',
  '',
  '  npm run everleaf -- status',
  '  npm run everleaf -- token create --device device-2',
]

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** What works on this machine and fails a fleet. */
function warningsOf({ listen }: Config): string[] {
  const { device, public: open, admin } = listen
  const namesThisMachine = (url: string) => isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'))
  return [
    ...(!isLoopback(open.host) && namesThisMachine(open.url)
      ? [
          `note: certificates name ${open.url} for their CRL, which other machines cannot reach; ` +
            'set listen.public.url before real devices enrol',
        ]
      : []),
    ...(!isLoopback(device.host) && namesThisMachine(device.url)
      ? [
          `note: devices are told ${device.url}, which other machines cannot reach; ` +
            'set listen.device.url and names before real devices enrol',
        ]
      : []),
    ...(!isLoopback(admin.host)
      ? [
          `warning: the admin listener is plain HTTP on ${admin.host}; ` +
            'its token crosses the network in clear unless a TLS proxy stands in front',
        ]
      : []),
  ]
}
