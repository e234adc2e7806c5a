import { createPrivateKey, createPublicKey } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openListenerDirectory } from '../../src/listener/directory.ts'
import type { ListenerPair } from '../../src/listener/listener.ts'
import { makeAuthority, makeKey, makeLeaf, type TestKey } from '../support/certificates.ts'

const hour = 3_600_000
const life = { notBefore: Date.now() - hour, notAfter: Date.now() + hour }
const root = makeAuthority({ name: 'Root G1', ...life })
const issuing = makeAuthority({ name: 'Issuing G1', parent: root, ...life })

let directory: string
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'everleaf-listener-')), 'listener')
})
afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }))

/** The chain for a key of which the public half alone is known, as the authority sees it. */
const chainFor = (spki: Uint8Array, subject = 'localhost'): Uint8Array[] => {
  const key: TestKey = { ...makeKey(), spki }
  return [makeLeaf({ issuer: issuing, subject, eku: ['serverAuth'], key, ...life }).der, issuing.der]
}

const spkiOf = (pair: ListenerPair | null): Buffer =>
  createPublicKey(createPrivateKey(pair?.key ?? '')).export({ type: 'spki', format: 'der' })

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe('the identity of the listener in a directory', () => {
  it('is nothing before the first installation', async () => {
    const listener = await openListenerDirectory(directory)
    expect(await listener.current()).toBeNull()
    expect(listener.read()).toBeNull()
  })

  it('makes one key and gives the same one until it is installed, over restarts too', async () => {
    const first = await (await openListenerDirectory(directory)).prepareKey()
    const again = await openListenerDirectory(directory)
    expect(same(first, await again.prepareKey())).toBe(true)
    expect(same(first, await again.prepareKey())).toBe(true)
    await again.install(chainFor(first))
    expect(same(first, await again.prepareKey())).toBe(false)
  })

  it('makes one key only when asked twice at once', async () => {
    const listener = await openListenerDirectory(directory)
    const [a, b] = await Promise.all([listener.prepareKey(), listener.prepareKey()])
    expect(same(a, b)).toBe(true)
  })

  it('makes P-256 keys that nobody else may read', async () => {
    const listener = await openListenerDirectory(directory)
    const spki = await listener.prepareKey()
    expect(
      createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' }).asymmetricKeyDetails?.namedCurve,
    ).toBe('prime256v1')
    await listener.install(chainFor(spki))
    await listener.prepareKey()
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect((await readdir(directory)).sort()).toEqual(['identity.pem', 'pending-key.pem'])
    for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
  })

  it('switches to the prepared key with its chain, and has it after a restart', async () => {
    const listener = await openListenerDirectory(directory)
    const spki = await listener.prepareKey()
    expect(listener.read()).toBeNull()
    await listener.install(chainFor(spki))
    for (const each of [listener, await openListenerDirectory(directory)]) {
      expect(same(spkiOf(each.read()), spki)).toBe(true)
      expect(each.read()?.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
      expect((await each.current())?.subjectText).toBe('CN=localhost')
    }
    expect(await readdir(directory)).toEqual(['identity.pem'])
  })

  it('tells of each new pair until told to stop', async () => {
    const listener = await openListenerDirectory(directory)
    const told: ListenerPair[] = []
    const stop = listener.onChange((pair) => told.push(pair))
    await listener.install(chainFor(await listener.prepareKey()))
    expect(told).toEqual([listener.read()])
    stop()
    await listener.install(chainFor(await listener.prepareKey()))
    expect(told).toHaveLength(1)
  })

  it('refuses a chain for another key, an empty one and one that is no certificate, and keeps what it has', async () => {
    const listener = await openListenerDirectory(directory)
    await listener.install(chainFor(await listener.prepareKey(), 'first'))
    const pending = await listener.prepareKey()
    await expect(listener.install(chainFor(makeKey().spki))).rejects.toMatchObject({ code: 'conflict' })
    await expect(listener.install([])).rejects.toMatchObject({ code: 'bad-input' })
    await expect(listener.install([new Uint8Array([1, 2, 3])])).rejects.toMatchObject({ code: 'bad-input' })
    expect((await listener.current())?.subjectText).toBe('CN=first')
    expect(same(pending, await listener.prepareKey())).toBe(true)
  })

  it('takes the same chain twice, and a renewed certificate for the key in use', async () => {
    const listener = await openListenerDirectory(directory)
    const spki = await listener.prepareKey()
    const chain = chainFor(spki)
    await listener.install(chain)
    await listener.install(chain)
    await listener.install(chainFor(spki, 'renewed'))
    expect((await listener.current())?.subjectText).toBe('CN=renewed')
    expect(same(spkiOf(listener.read()), spki)).toBe(true)
  })

  it('makes a new key when it was killed between the switch and the tidying up', async () => {
    const listener = await openListenerDirectory(directory)
    const used = await listener.prepareKey()
    const pending = await readFile(join(directory, 'pending-key.pem'))
    await listener.install(chainFor(used))
    await writeFile(join(directory, 'pending-key.pem'), pending)
    await writeFile(join(directory, '.identity.pem.00000000-0000-4000-8000-000000000000.tmp'), 'torn')
    const again = await openListenerDirectory(directory)
    expect(same(spkiOf(again.read()), used)).toBe(true)
    expect(same(await again.prepareKey(), used)).toBe(false)
    expect(await readdir(directory)).not.toContainEqual(expect.stringContaining('.tmp'))
  })

  it('says which file is damaged and what to do', async () => {
    const listener = await openListenerDirectory(directory)
    await listener.install(chainFor(await listener.prepareKey()))
    const path = join(directory, 'identity.pem')
    const whole = await readFile(path, 'utf8')
    const other = makeKey().privateKey.export({ type: 'pkcs8', format: 'pem' })
    for (const text of [
      '',
      whole.slice(0, -40),
      whole.slice(whole.indexOf('-----BEGIN CERT')),
      other + whole.slice(whole.indexOf('-----BEGIN CERT')),
    ]) {
      await writeFile(path, text)
      await expect(openListenerDirectory(directory)).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringMatching(/identity\.pem: .*; remove it and a new one is made/),
      })
    }
  })

  it('lets a running TLS server change its certificate without a restart', async () => {
    const listener = await openListenerDirectory(directory)
    await listener.install(chainFor(await listener.prepareKey(), 'first'))
    const asContext = (pair: ListenerPair | null) => ({ key: pair?.key, cert: pair?.chain })
    const server = createServer(asContext(listener.read()), (socket) => socket.end())
    listener.onChange((pair) => server.setSecureContext(asContext(pair)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const seen = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, ca: root.pem, checkServerIdentity: () => undefined }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN))
          socket.destroy()
        })
        socket.once('error', reject)
      })
    try {
      expect(await seen()).toBe('first')
      await listener.install(chainFor(await listener.prepareKey(), 'second'))
      expect(await seen()).toBe('second')
    } finally {
      server.close()
    }
  })
})
