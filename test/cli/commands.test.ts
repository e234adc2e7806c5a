import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { type Console, openConsole } from '../support/console.ts'
import { day, makeWorld, type TestDevice, type World } from '../support/world.ts'

let world: World
let everleaf: Console
beforeAll(async () => {
  world = await makeWorld()
  everleaf = await openConsole(world)
})
afterAll(async () => {
  await everleaf.close()
  await world.stop()
})

/** A port on which nothing listens: one that was free a moment ago. */
const closedPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

let count = 0
let device: TestDevice
beforeEach(async () => {
  count += 1
  device = await world.enrol(`truck-${count}`, { labels: { site: 'oslo' } })
})

describe('everleaf token create', () => {
  it('prints the whole enrolment command, with the token in the environment and the fingerprint of the root', async () => {
    const { code, out } = await everleaf.run('token', 'create', '--device', 'van-1', '--ttl', '2h')
    expect(code).toBe(0)
    const root = world.ports.authorities.issuing.chain.at(-1)?.fingerprint
    expect(out).toMatch(/^Token for van-1 under profile device, good once until .*Z \(in 2 h\)\.$/m)
    expect(out).toMatch(
      new RegExp(
        `^ {2}EVERLEAF_TOKEN=[\\w-]{32} node dist/everleaf-agent\\.mjs enroll --server https://localhost:8443 --fingerprint ${root} --device van-1 --directory \\./van-1$`,
        'm',
      ),
    )
  })

  it('takes labels, and refuses one without a value', async () => {
    const made = await everleaf.json('token', 'create', '--device', 'van-2', '--label', 'site=oslo', '--label', 'x=a=b')
    expect(made).toMatchObject({ device: 'van-2', profile: 'device' })
    expect(await everleaf.run('token', 'create', '--device', 'van-2', '--label', 'site')).toMatchObject({ code: 2 })
  })

  it('passes on what the server refuses', async () => {
    const { code, out, err } = await everleaf.run('token', 'create', '--device', 'van-3', '--profile', 'lorry')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toBe('everleaf: unknown profile lorry; there are device\n')
  })
})

describe('everleaf devices', () => {
  it('lists devices in aligned columns', async () => {
    await world.ports.store.transaction((tx) => tx.devices.recordContact(device.id, { at: world.clock.now() }))
    const { out } = await everleaf.run('devices', 'list')
    const lines = out.split('\n')
    expect(lines[0]).toMatch(/^DEVICE +PROFILE +STATE +LAST SEEN +AGENT +LAST ERROR$/)
    const row = lines.find((line) => line.startsWith(device.id)) ?? ''
    expect(row.indexOf('active')).toBe(lines[0]?.indexOf('STATE'))
    expect(row).toContain('now')
  })

  it('tells where a page ends how to go on', async () => {
    await world.enrol('truck-0')
    const first = await everleaf.run('devices', 'list', '--limit', '1')
    expect(first.err).toBe('more: --after truck-0\n')
    const second = await everleaf.run('devices', 'list', '--limit', '1', '--after', 'truck-0')
    expect(second.out).toContain('truck-1')
  })

  it('shows a device with its certificates', async () => {
    const { out } = await everleaf.run('devices', 'show', device.id)
    expect(out).toContain('Labels     site=oslo')
    expect(out).toContain(device.certificate.serial)
    expect(out).toContain('in 90 d')
    expect(await everleaf.run('devices', 'show', 'nobody')).toMatchObject({
      code: 1,
      err: 'everleaf: no device nobody\n',
    })
  })

  it('does not let the text of a device command the terminal', async () => {
    await world.ports.store.transaction((tx) =>
      tx.devices.recordContact(device.id, { at: world.clock.now(), lastError: '\u001b[2Jgone\u202e' }),
    )
    const { out } = await everleaf.run('devices', 'list')
    expect(out).toContain('\ufffd[2Jgone\ufffd')
  })

  it('retires a device once somebody there agrees, and asks nobody where nobody is', async () => {
    const refused = await everleaf.answering('', 'devices', 'retire', device.id)
    expect(refused).toMatchObject({ code: 1, err: 'everleaf: nothing was changed\n' })
    expect(refused.questions).toEqual([`Retire device ${device.id} and revoke its certificates, for good? [y/N] `])
    expect((await world.ports.store.devices.get(device.id))?.state).toBe('active')
    expect(await everleaf.answering('yes', 'devices', 'retire', device.id)).toMatchObject({
      code: 0,
      out: `${device.id} is retired; certificates revoked: 1\n`,
    })
    const other = await world.enrol(`other-${count}`)
    expect(await everleaf.json('devices', 'retire', other.id)).toEqual({ revoked: 1 })
  })
})

describe('everleaf certs', () => {
  it('lists by state, device and expiry, with serials whole', async () => {
    const { out } = await everleaf.run('certs', 'list', '--device', device.id)
    expect(out.split('\n')[1]).toMatch(new RegExp(`^${device.certificate.serial}  issuing-g1 +${device.id}`))
    const none = await everleaf.json('certs', 'list', '--device', device.id, '--expires-before', '2027-01-02')
    expect(none).toEqual({ certificates: [], next: null })
  })

  it('shows one by its serial in any spelling, or by authority and serial, or as PEM', async () => {
    const { serial } = device.certificate
    const colons = serial.toUpperCase().replace(/(..)(?=.)/g, '$1:')
    for (const name of [serial, colons, `issuing-g1/${serial}`])
      expect(await everleaf.json('certs', 'show', name)).toMatchObject({ serial, device: device.id })
    const { out } = await everleaf.run('certs', 'show', serial, '--pem')
    expect(out).toMatch(/^-----BEGIN CERTIFICATE-----\n[\s\S]+\n-----END CERTIFICATE-----\n$/)
  })

  it('says why a certificate is as it is', async () => {
    const { out } = await everleaf.run('certs', 'why', device.certificate.serial)
    expect(out).toContain(`issued by issuing-g1 to ${device.id} under profile device, by enrolment\n`)
  })

  it('says which authorities were searched for an unknown serial', async () => {
    const { code, err } = await everleaf.run('certs', 'show', '4000000000000000000000000000dead')
    expect(code).toBe(1)
    expect(err).toContain('of issuing-g1, root-g1')
  })

  it('revokes once, with the reason, after a question that names the device', async () => {
    const { serial } = device.certificate
    const kept = await everleaf.answering('no', 'certs', 'revoke', serial)
    expect(kept.questions[0]).toContain(`CN=${device.id}`)
    expect(kept.code).toBe(1)
    const { code, out } = await everleaf.answering('y', 'certs', 'revoke', serial, '--reason', 'keyCompromise')
    expect(code).toBe(0)
    expect(out).toContain(serial)
    const revocation = await world.ports.store.revocations.get(device.certificate)
    expect(revocation?.reason).toBe('keyCompromise')
  })

  it('asks nothing with --yes', async () => {
    const { code, questions } = await everleaf.answering('no', 'certs', 'revoke', device.certificate.serial, '--yes')
    expect({ code, questions }).toEqual({ code: 0, questions: [] })
  })

  it('refuses an unknown reason, state and date before it asks the server', async () => {
    for (const argv of [
      ['certs', 'revoke', '4f', '--reason', 'bored'],
      ['certs', 'list', '--state', 'lost'],
      ['certs', 'list', '--expires-before', 'soon'],
      ['certs', 'list', '--limit', '0'],
    ])
      expect(await everleaf.run(...argv)).toMatchObject({ code: 2, out: '' })
  })
})

describe('everleaf authority, truststore and crl', () => {
  it('list the CAs and show one as PEM', async () => {
    const { out } = await everleaf.run('authority', 'list')
    expect(out).toMatch(/^issuing-g1 +CN=Test Issuing G1 +in 1825 d +issues, signs CRLs$/m)
    const pem = await everleaf.run('authority', 'show', 'root-g1', '--pem')
    expect(pem.out).toMatch(/^-----BEGIN CERTIFICATE-----/)
    expect((await everleaf.run('authority', 'show', 'root-g9')).err).toContain('there are issuing-g1, root-g1')
  })

  it('plan, publish and show the truststore', async () => {
    expect((await everleaf.run('truststore', 'plan')).out).toMatch(/^Version 1 would change:\n {2}\+ [0-9a-f]{64}$/m)
    expect((await everleaf.run('truststore', 'publish')).code).toBe(0)
    expect((await everleaf.run('truststore', 'plan')).out).toMatch(/^Version 1: no change$/m)
    expect(await everleaf.json('truststore', 'show')).toMatchObject({ version: 1 })
    const { code, err } = await everleaf.run('truststore', 'rollback', '7')
    expect({ code, err }).toEqual({ code: 1, err: 'everleaf: no truststore version 7\n' })
  })

  it('publish the CRL of every CA and show them', async () => {
    const { out } = await everleaf.run('crl', 'publish')
    expect(out).toMatch(/^issuing-g1: .+\nroot-g1: .+\n$/)
    expect(await everleaf.json('crl', 'publish', 'issuing-g1', '--force')).toMatchObject({
      published: [{ authority: 'issuing-g1' }],
    })
    expect((await everleaf.run('crl', 'show')).out).toMatch(
      /^issuing-g1 +0 +\d+ +\d+ +5 min ago +in 7 d +[0-9a-f]{64}$/m,
    )
  })
})

describe('everleaf events, gateways, dead-letters and status', () => {
  it('print the newest events, one a line', async () => {
    const { out } = await everleaf.run('events', 'tail', '--lines', '3')
    expect(out.trimEnd().split('\n')).toHaveLength(3)
    expect(out).toMatch(new RegExp(`^2027-01-01T\\S+Z {2}Device Enrolled +${device.id}`, 'm'))
    const lines = (await everleaf.run('events', 'tail', '-n', '2', '--json')).out.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).subject)).toEqual([device.id, device.id])
  })

  it('say that there is no such gateway or dead letter', async () => {
    expect((await everleaf.run('gateways', 'list')).out).toBe('GATEWAY  STATE  TRUSTSTORE  UPDATED  MESSAGE\n')
    expect((await everleaf.run('gateways', 'show', 'edge')).err).toBe(
      'everleaf: no gateway edge; there are: none yet\n',
    )
    expect((await everleaf.run('gateways', 'sync', 'edge')).code).toBe(1)
    expect((await everleaf.run('dead-letters', 'list')).out).toBe('JOB  ID  ATTEMPTS  FAILED  REASON\n')
    const { code, err } = await everleaf.run('dead-letters', 'retry', 'sync-gateway', 'a/b')
    expect({ code, err }).toEqual({ code: 1, err: 'everleaf: no dead letter sync-gateway a/b\n' })
  })

  it('show how the server stands', async () => {
    const { out } = await everleaf.run('status')
    expect(out).toMatch(/^Ready +yes$/m)
    expect(out).toMatch(/^Certificates .*delivered \d+/m)
  })
})

describe('where the server does not answer', () => {
  it('asks whether it runs', async () => {
    const file = join(everleaf.folder, 'silent.yaml')
    const port = await closedPort()
    await writeFile(file, `data: data\nlisten: { admin: { port: ${port} } }\n`)
    const { code, err } = await everleaf.run('--config', file, 'status')
    expect(code).toBe(1)
    expect(err).toBe(
      `everleaf: no answer from http://127.0.0.1:${port} (nothing listens there): is the server running? Start it with "npm start"\n`,
    )
  })

  it('says which token was refused', async () => {
    const file = join(everleaf.folder, 'stranger.yaml')
    await writeFile(join(everleaf.folder, 'stranger'), 'another-token', { mode: 0o600 })
    const { port } = loadConfig({ file: everleaf.configFile }).listen.admin
    await writeFile(file, `data: data\nlisten: { admin: { port: ${port}, tokenFile: stranger } }\n`)
    const { code, err } = await everleaf.run('--config', file, 'status')
    expect(code).toBe(1)
    expect(err).toContain('this is not the admin token (sent to http://127.0.0.1:')
    expect(err).not.toContain('another-token')
  })
})

it('tells times as people say them', async () => {
  await world.clock.advance(3 * day)
  expect((await everleaf.run('certs', 'list', '--device', device.id)).out).toContain('in 87 d')
})
