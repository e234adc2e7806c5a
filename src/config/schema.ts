import { join } from 'node:path'
import { z } from 'zod'
import type { KeyType } from '../model.ts'
import { duration } from './units.ts'
import {
  command,
  dnsTemplate,
  fraction,
  host,
  hostName,
  name,
  path,
  port,
  secret,
  section,
  shortText,
  template,
  uriTemplate,
  url,
  validKeys,
} from './values.ts'

/** What defaults depend on. */
export interface Place {
  /** Where relative paths count from. */
  base: string
  data: string
  hostname: string
}

const day = 86_400_000
const validity = duration({ least: 1000, most: 50 * 365 * day, wholeSeconds: true })
const keyTypes = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const satisfies readonly KeyType[]
const subjectAttributes = ['CN', 'O', 'OU', 'C', 'ST', 'L', 'serialNumber', 'DC'] as const
const subject = template('text of at most 128 characters', (filled) => filled.length <= 128)

const alerts = section({
  expiry: z
    .array(duration({ least: 1 }))
    .max(32)
    .prefault(['45d', '30d', '14d', '7d', '3d', '1d']),
  overdueAfter: fraction({ zero: true }).prefault(0.05),
}).prefault({})

const profile = section({
  validity: validity.prefault('90d'),
  keys: z
    .array(z.enum(keyTypes))
    .min(1)
    .prefault([...keyTypes]),
  subject: z
    .partialRecord(z.enum(subjectAttributes), subject, { error: validKeys(subjectAttributes) })
    .prefault({ CN: '{device}' }),
  san: section({
    dns: z.array(dnsTemplate).max(32).prefault([]),
    uri: z.array(uriTemplate).max(32).prefault([]),
  }).prefault({ uri: ['spiffe://everleaf.local/device/{device}'] }),
  renewal: section({
    keys: z.enum(['rekey', 'reuse']).prefault('rekey'),
    after: fraction({ zero: false }).prefault('2/3'),
    jitter: fraction({ zero: true }).prefault(0.1),
    grace: duration().prefault(0),
    burst: z.int().min(2).max(1_000_000).prefault(10),
  }).prefault({}),
  alerts,
})

const listenerProfile = section({
  validity: validity.prefault('30d'),
  renewal: section({
    after: fraction({ zero: false }).prefault('2/3'),
    jitter: fraction({ zero: true }).prefault(0.1),
  }).prefault({}),
  alerts,
})

const authorityKey = z.enum(['ec-p384', 'ec-p256'])

const listen = ({ base, data, hostname }: Place) =>
  section({
    device: section({
      host: host.prefault('0.0.0.0'),
      port: port.prefault(8443),
      url: url(['https'], 'https://everleaf.example.com:8443', false).optional(),
      names: z
        .array(host)
        .min(1)
        .max(100)
        .prefault([...new Set(['localhost', '127.0.0.1', '::1', hostName(hostname) ?? 'localhost'])]),
      certificate: section({ key: path(base), chain: path(base) })
        .nullable()
        .prefault(null),
    }).prefault({}),
    public: section({
      host: host.prefault('0.0.0.0'),
      port: port.prefault(8080),
      url: url(['http'], 'http://everleaf.example.com:8080', true).optional(),
    }).prefault({}),
    admin: section({
      host: host.prefault('127.0.0.1'),
      port: port.prefault(8081),
      tokenFile: path(base).prefault(join(data, 'admin-token')),
    }).prefault({}),
  }).prefault({})

const gateway = (base: string) =>
  section({
    name,
    type: z.literal('command').prefault('command'),
    truststore: path(base),
    crl: path(base),
    test: command.nullable().prefault(null),
    reload: command,
    pidFile: path(base).nullable().prefault(null),
    check: command.nullable().prefault(null),
    timeout: duration({ least: 100, most: day / 24 }).prefault('30s'),
  })

const webhook = (base: string) =>
  section({
    name,
    url: url(['https', 'http'], 'https://hooks.example.com/everleaf', true),
    secret: secret(base),
    timeout: duration({ least: 100, most: day / 24 }).prefault('10s'),
  })

/** Everything that may stand in `everleaf.yaml`, with its default. */
export const configSchema = (place: Place) =>
  section({
    data: z
      .unknown()
      .transform(() => place.data)
      .prefault(null),
    listen: listen(place),
    store: section({ file: path(place.base).prefault(join(place.data, 'everleaf.db')) }).prefault({}),
    authority: section({
      name: shortText(50).prefault('Everleaf'),
      passphrase: secret(place.base).prefault({ file: join(place.data, 'passphrase') }),
      root: section({ validity: validity.prefault('10y'), key: authorityKey.prefault('ec-p384') }).prefault({}),
      issuing: section({ validity: validity.prefault('5y'), key: authorityKey.prefault('ec-p256') }).prefault({}),
    }).prefault({}),
    crl: section({
      validity: validity.prefault('7d'),
      refresh: duration({ least: 1000 }).prefault('1d'),
      coalesce: duration().prefault('2s'),
    }).prefault({}),
    publication: section({ directory: path(place.base).prefault(join(place.data, 'published')) }).prefault({}),
    profiles: z.record(name, profile).prefault({ device: {} }),
    listenerProfile: listenerProfile.prefault({}),
    gateways: z.array(gateway(place.base)).prefault([]),
    events: section({
      log: z.boolean().prefault(true),
      webhooks: z.array(webhook(place.base)).prefault([]),
    }).prefault({}),
    retention: section({
      certificates: duration({ least: 1000 }).prefault('1y'),
      events: duration({ least: 1000 }).prefault('30d'),
    }).prefault({}),
    log: section({
      level: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']).prefault('info'),
    }).prefault({}),
    sweep: z
      .string()
      .regex(
        /^\s*(?:[\w*/,-]+\s+){4,5}[\w*/,-]+\s*$/,
        'should be a cron expression, e.g. "* * * * * *" for every second',
      )
      .prefault('* * * * * *'),
  })

export type ParsedConfig = z.output<ReturnType<typeof configSchema>>
