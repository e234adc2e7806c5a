import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { configFolder } from '../support/config-folder.ts'

const { folder, load, refusal } = configFolder()

describe('a mistake is refused with its place and what would be right:', () => {
  const mistakes: Array<[string, string, string]> = [
    [
      'an unknown key',
      'profiles:\n  device:\n    validty: 90d',
      'everleaf.yaml:3: profiles.device.validty: unknown key; did you mean validity?',
    ],
    ['a key like no other', 'colour: green', 'everleaf.yaml:1: colour: unknown key; valid here: data, listen, store,'],
    [
      'a wrong unit',
      'crl:\n  validity: 7 days',
      'everleaf.yaml:2: crl.validity: unknown unit "days"; units are ms, s, m (minutes), h, d, w or y, e.g. 7d',
    ],
    [
      'no unit',
      'crl:\n  validity: 7',
      'crl.validity: "7" has no unit; units are ms, s, m (minutes), h, d, w or y, e.g. 7d',
    ],
    ['no number', 'crl: { coalesce: soon }', 'crl.coalesce: "soon" is no length of time'],
    ['a negative length', 'crl: { coalesce: -2s }', 'crl.coalesce: "-2s" is no length of time'],
    [
      'too short a validity',
      'profiles: { device: { validity: 500ms } }',
      'profiles.device.validity: 500ms is too short; at least 1s',
    ],
    [
      'parts of a second in a certificate',
      'profiles: { device: { validity: 1500ms } }',
      '1500ms is no whole number of seconds',
    ],
    ['a value like another', 'log: { level: warning }', 'log.level: unknown value; valid here: silent'],
    [
      'a key type',
      'profiles: { device: { keys: [rsa-1024] } }',
      'profiles.device.keys[0]: unknown value; valid here: ec-p256',
    ],
    ['a number where text belongs', 'log: { level: 3 }', 'log.level: wrong value; valid here: silent'],
    ['a list where a map belongs', 'crl: []', 'crl: expected object, received array'],
    [
      'a port',
      'listen: { public: { port: 80800 } }',
      'listen.public.port: should be a port: 0 (any free one) to 65535',
    ],
    [
      'https for the public listener',
      'listen: { public: { url: "https://x" } }',
      'listen.public.url: is https://; should be http://',
    ],
    ['a path in the device URL', 'listen: { device: { url: "https://localhost/est" } }', 'must have no path'],
    ['a user in a URL', 'listen: { public: { url: "http://me:secret@x" } }', 'must hold no user and no password'],
    [
      'an unknown variable',
      'profiles: { device: { subject: { CN: "{name}" } } }',
      'profiles.device.subject.CN: unknown variable {name}; known are {device} and {label.<name>}',
    ],
    [
      'an unpaired brace',
      'profiles: { device: { subject: { CN: "{device" } } }',
      'profiles.device.subject.CN: has an unpaired brace',
    ],
    [
      'a SAN that can be no host name',
      'profiles: { device: { san: { dns: ["{device} home"] } } }',
      'profiles.device.san.dns[0]: should be a host name',
    ],
    [
      'a SAN that can be no URI',
      'profiles: { device: { san: { uri: ["{device}"] } } }',
      'profiles.device.san.uri[0]: should be a URI',
    ],
    [
      'an unknown subject attribute',
      'profiles: { device: { subject: { CNN: "{device}" } } }',
      'profiles.device.subject.CNN: unknown key; did you mean CN?',
    ],
    [
      'a fraction of 1',
      'profiles: { device: { renewal: { after: 1 } } }',
      'profiles.device.renewal.after: should lie between 0 and 1, both excluded',
    ],
    [
      'a division by zero',
      'profiles: { device: { renewal: { after: 1/0 } } }',
      'profiles.device.renewal.after: should lie between',
    ],
    [
      'the name of a profile',
      'profiles: { "My Laptop": {} }',
      'profiles.My Laptop: as a name, should be a name of a-z',
    ],
    [
      'a command as text',
      'gateways: [{ name: e, truststore: t, crl: c, reload: nginx -s reload }]',
      'gateways[0].reload: a command is a list of program and arguments that no shell reads',
    ],
    [
      'a missing key',
      'gateways:\n- name: edge\n  truststore: t\n  crl: c',
      'everleaf.yaml:2: gateways[0].reload: is missing',
    ],
    ['a cron expression', 'sweep: often', 'sweep: should be a cron expression'],
    ['broken YAML', 'crl:\n  - [', 'everleaf.yaml:2: '],
    ['a key twice', 'crl: {}\ncrl: {}', 'everleaf.yaml:2: Map keys must be unique'],
    ['a list', '- crl', 'everleaf.yaml:1: should be a map of settings'],
    ['an unknown tag', 'data: !include x', 'everleaf.yaml:1: Unresolved tag'],
    ['a data directory that is none', 'data: [x]', 'everleaf.yaml:1: data: should be a directory'],
  ]
  it.each(mistakes)('%s', (_, text, message) => {
    expect(refusal(text)).toContain(message)
  })

  it('all mistakes at once, in the order of the file', () => {
    const text = 'log: { levle: x }\ncrl:\n  validity: 3\n  refesh: 1d\nprofiles: { device: { burst: 1 } }'
    const lines = refusal(text).split('\n')
    expect(lines.map((line) => line.split(':').slice(0, 3).join(':'))).toEqual([
      'everleaf.yaml:1: log.levle',
      'everleaf.yaml:3: crl.validity',
      'everleaf.yaml:4: crl.refesh',
      'everleaf.yaml:5: profiles.device.burst',
    ])
  })

  it('a bad environment variable by its name', () => {
    const message = refusal('', { EVERLEAF_LISTEN_PUBLIC: '0.0.0.0:99999', EVERLEAF_LOG_LEVEL: 'loud' })
    expect(message).toContain('EVERLEAF_LISTEN_PUBLIC: listen.public.port: should be a port')
    expect(message).toContain('EVERLEAF_LOG_LEVEL: log.level: unknown value')
  })

  it('a file that is not there or is too large', () => {
    expect(() => loadConfig({ file: join(folder, 'absent.yaml'), environment: {} })).toThrow(/absent\.yaml/)
    expect(refusal(`# ${'x'.repeat(1024 * 1024)}`)).toContain('at most 1048576')
  })

  it('an alias bomb without opening it', () => {
    const bomb = [
      'a: &a [x, x]',
      ...'bcdefghij'
        .split('')
        .map((name, index) => `${name}: &${name} [*${'abcdefghij'[index]}, *${'abcdefghij'[index]}]`),
    ]
    expect(refusal(bomb.join('\n'))).toContain('everleaf.yaml: Excessive alias count')
  })
})

describe('what does not fit together is refused at start:', () => {
  const conflicts: Array<[string, string, string]> = [
    [
      'a CRL rebuilt too rarely',
      'crl: { validity: 2d, refresh: 25h }',
      'crl.refresh: 25h is longer than half of crl.validity, 1d',
    ],
    [
      'a revocation held back too long',
      'crl: { refresh: 1h, coalesce: 2h }',
      'crl.coalesce: 2h is longer than crl.refresh, 1h',
    ],
    [
      'an issuing CA that outlives its root',
      'authority: { root: { validity: 1y }, issuing: { validity: 2y } }',
      'authority.issuing.validity: 2y is longer than authority.root.validity, 1y',
    ],
    [
      'a profile that outlives its CA',
      'profiles: { device: { validity: 6y } }',
      'profiles.device.validity: 6y is longer than authority.issuing.validity, 5y',
    ],
    [
      'a listener that outlives its CA',
      'listenerProfile: { validity: 6y }',
      'listenerProfile.validity: 6y is longer than authority.issuing.validity, 5y',
    ],
    [
      'slots after expiry',
      'profiles: { device: { renewal: { after: 0.9, jitter: 0.3 } } }',
      'profiles.device.renewal.jitter: half of 0.3 reaches past the end',
    ],
    [
      'slots before issuance',
      'profiles: { device: { renewal: { after: 0.1, jitter: 0.3 } } }',
      'profiles.device.renewal.jitter: half of 0.3 reaches before the start',
    ],
    [
      'overdue after expiry',
      'profiles: { device: { renewal: { after: 0.9 }, alerts: { overdueAfter: 0.2 } } }',
      'profiles.device.alerts.overdueAfter: 0.2 past the latest slot',
    ],
    [
      'thresholds that rise',
      'profiles: { device: { alerts: { expiry: [7d, 14d] } } }',
      'profiles.device.alerts.expiry[1]: 14d after 7d; write the longest first',
    ],
    [
      'the same threshold twice',
      'listenerProfile: { alerts: { expiry: [7d, 7d] } }',
      'listenerProfile.alerts.expiry[1]: 7d after 7d',
    ],
    [
      'one identity for all',
      'profiles: { device: { subject: { O: Acme }, san: {} } }',
      'profiles.device: neither subject nor san holds {device}',
    ],
    ['no profile', 'profiles: {}', 'profiles: is empty'],
    [
      'a grace beyond memory',
      'profiles: { device: { renewal: { grace: 2y } } }',
      'profiles.device.renewal.grace: 2y is longer than retention.certificates, 1y',
    ],
    [
      'a URL that its certificate does not name',
      'listen: { device: { url: "https://edge:8443", names: [localhost] } }',
      'listen.device.url: its host edge is not in listen.device.names (localhost)',
    ],
    ['one port twice', 'listen: { device: { port: 8080 } }', 'listen.public.port: 8080 is listen.device.port too'],
    [
      'one gateway twice',
      'gateways: [{ name: e, truststore: t, crl: c, reload: [a] }, { name: e, truststore: t, crl: c, reload: [a] }]',
      'gateways[1].name: "e" is the name of gateways[0] too',
    ],
    [
      'one file for the truststore and the CRL',
      'gateways: [{ name: e, truststore: t, crl: ./t, reload: [a] }]',
      'gateways[0].crl: t is gateways[0].truststore too',
    ],
    [
      'one file for two gateways',
      'gateways: [{ name: e, truststore: t, crl: c, reload: [a] }, { name: f, truststore: u, crl: c, reload: [a] }]',
      'gateways[1].crl: c is gateways[0].crl too',
    ],
  ]
  it.each(conflicts)('%s', (_, text, message) => {
    expect(refusal(text)).toContain(message)
  })

  it('but a certificate of your own may have any name, and port 0 may be used thrice', () => {
    const config = load(
      'listen: { device: { port: 0, url: "https://edge", certificate: { key: k, chain: c } }, public: { port: 0 }, admin: { port: 0 } }',
    )
    expect(config.listen.device.certificate).toEqual({ key: join(folder, 'k'), chain: join(folder, 'c') })
  })
})
