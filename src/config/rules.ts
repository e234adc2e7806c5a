import type { Duration } from '../model.ts'
import type { Problem } from './report.ts'
import type { Config } from './shape.ts'
import { formatDuration } from './units.ts'

/**
 * What must hold between fields. A configuration that breaks one would start well and fail a fleet later, so it is
 * refused at start. Each rule returns its problems, with both compared values.
 */
type Rule = (config: Config) => Problem[]

const problem = (path: readonly PropertyKey[], message: string): Problem[] => [{ path, message }]

const atMost = (path: readonly PropertyKey[], value: Duration, limit: { value: Duration; of: string }, why: string) =>
  value <= limit.value
    ? []
    : problem(path, `${formatDuration(value)} is longer than ${limit.of}, ${formatDuration(limit.value)}: ${why}`)

const crlIsRebuiltInTime: Rule = ({ crl }) => [
  ...atMost(
    ['crl', 'refresh'],
    crl.refresh,
    { value: crl.validity / 2, of: 'half of crl.validity' },
    'one missed rebuild would leave gateways with an expired CRL, and they refuse everybody',
  ),
  ...atMost(
    ['crl', 'coalesce'],
    crl.coalesce,
    { value: crl.refresh, of: 'crl.refresh' },
    'a revocation would wait past the next rebuild',
  ),
]

const nothingOutlivesItsIssuer: Rule = ({ authority, profiles, listenerProfile }) => [
  ...atMost(
    ['authority', 'issuing', 'validity'],
    authority.issuing.validity,
    { value: authority.root.validity, of: 'authority.root.validity' },
    'no certificate may outlive its issuer',
  ),
  ...Object.entries({ ...profiles, [listenerName]: listenerProfile }).flatMap(([name, { validity }]) =>
    atMost(
      [...profilePath(name), 'validity'],
      validity,
      { value: authority.issuing.validity, of: 'authority.issuing.validity' },
      'no certificate may outlive its issuer',
    ),
  ),
]

/** No profile can be called so: names hold no space. */
const listenerName = 'listener profile'
const profilePath = (name: string): PropertyKey[] => (name === listenerName ? ['listenerProfile'] : ['profiles', name])

const renewalsFallInsideTheLife: Rule = ({ profiles, listenerProfile }) =>
  Object.entries({ ...profiles, [listenerName]: listenerProfile }).flatMap(([name, { renewal, alerts }]) => {
    const [earliest, latest] = [renewal.after - renewal.jitter / 2, renewal.after + renewal.jitter / 2]
    const path = [...profilePath(name), 'renewal']
    if (earliest <= 0)
      return problem(
        [...path, 'jitter'],
        `half of ${renewal.jitter} reaches before the start of a life at ${renewal.after}`,
      )
    if (latest >= 1)
      return problem(
        [...path, 'jitter'],
        `half of ${renewal.jitter} reaches past the end of a life at ${renewal.after}`,
      )
    if (latest + alerts.overdueAfter >= 1)
      return problem(
        [...profilePath(name), 'alerts', 'overdueAfter'],
        `${alerts.overdueAfter} past the latest slot, ${latest.toFixed(3)}, lies after expiry: overdue would never be told`,
      )
    return []
  })

const alertsDescend: Rule = ({ profiles, listenerProfile }) =>
  Object.entries({ ...profiles, [listenerName]: listenerProfile }).flatMap(([name, { alerts }]) =>
    alerts.expiry.flatMap((threshold, index) => {
      const previous = alerts.expiry[index - 1]
      if (previous === undefined || threshold < previous) return []
      const path = [...profilePath(name), 'alerts', 'expiry', index]
      return problem(path, `${formatDuration(threshold)} after ${formatDuration(previous)}; write the longest first`)
    }),
  )

const identitiesDiffer: Rule = ({ profiles }) =>
  Object.entries(profiles).flatMap(([name, { subject, san }]) => {
    const templates = [...Object.values(subject), ...san.dns, ...san.uri]
    if (templates.some((template) => template.includes('{device}'))) return []
    return problem(['profiles', name], 'neither subject nor san holds {device}: all devices would have one identity')
  })

const thereIsAProfile: Rule = ({ profiles }) =>
  Object.keys(profiles).length > 0
    ? []
    : problem(['profiles'], 'is empty; leave it out for the default profile "device"')

const graceIsRemembered: Rule = ({ profiles, retention }) =>
  Object.entries(profiles).flatMap(([name, { renewal }]) =>
    atMost(
      ['profiles', name, 'renewal', 'grace'],
      renewal.grace,
      { value: retention.certificates, of: 'retention.certificates' },
      'the certificate would be forgotten while it may still renew',
    ),
  )

const listenerIsNamed: Rule = ({ listen: { device } }) => {
  const host = new URL(device.url).hostname.replace(/^\[(.*)\]$/, '$1')
  if (device.certificate !== null || device.names.includes(host)) return []
  const names = device.names.join(', ')
  return problem(
    ['listen', 'device', 'url'],
    `its host ${host} is not in listen.device.names (${names}): agents would refuse it`,
  )
}

const portsDiffer: Rule = ({ listen }) => {
  const taken = new Map<number, string>()
  return (['device', 'public', 'admin'] as const).flatMap((name) => {
    const { port } = listen[name]
    const other = taken.get(port)
    if (port === 0 || other === undefined) {
      taken.set(port, name)
      return []
    }
    return problem(['listen', name, 'port'], `${port} is listen.${other}.port too`)
  })
}

const namesAreUnique: Rule = ({ gateways, events }) =>
  [
    { path: ['gateways'], items: gateways },
    { path: ['events', 'webhooks'], items: events.webhooks },
  ].flatMap(({ path, items }) =>
    items.flatMap(({ name }, index) => {
      const first = items.findIndex((item) => item.name === name)
      return first === index
        ? []
        : problem([...path, index, 'name'], `"${name}" is the name of ${path.join('.')}[${first}] too`)
    }),
  )

/** Each gateway's files are switched and put back by itself: two that share one would undo each other's. */
const gatewayFilesDiffer: Rule = ({ gateways }) => {
  const taken = new Map<string, string>()
  return gateways.flatMap((gateway, index) =>
    (['truststore', 'crl'] as const).flatMap((file) => {
      const other = taken.get(gateway[file])
      if (other !== undefined) return problem(['gateways', index, file], `${gateway[file]} is ${other} too`)
      taken.set(gateway[file], `gateways[${index}].${file}`)
      return []
    }),
  )
}

const rules: readonly Rule[] = [
  crlIsRebuiltInTime,
  nothingOutlivesItsIssuer,
  renewalsFallInsideTheLife,
  alertsDescend,
  thereIsAProfile,
  identitiesDiffer,
  graceIsRemembered,
  listenerIsNamed,
  portsDiffer,
  namesAreUnique,
  gatewayFilesDiffer,
]

/** Everything that does not fit together, in the order of the rules. */
export const problemsBetween = (config: Config): Problem[] => rules.flatMap((rule) => rule(config))
