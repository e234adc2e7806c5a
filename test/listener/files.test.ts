import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type WatchedListenerFiles, watchListenerFiles } from '../../src/listener/files.ts'
import { fakeClock } from '../fakes/clock.ts'
import { makeAuthority, makeLeaf, type TestCertificate } from '../support/certificates.ts'

const hour = 3_600_000
const clock = fakeClock()
const now = clock.now()
const root = makeAuthority({ name: 'Root G1', notBefore: now - hour, notAfter: now + 100 * hour })
const leaf = (subject: string, notBefore = now - hour, notAfter = now + 24 * hour) =>
  makeLeaf({ issuer: root, subject, eku: ['serverAuth'], notBefore, notAfter })
const [first, second] = [leaf('first'), leaf('second')]

let directory: string
let watched: WatchedListenerFiles | null
let problems: string[]
const key = () => join(directory, 'key.pem')
const chain = () => join(directory, 'chain.pem')
const replace = async (path: string, text: string) => {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}
const place = async (certificate: TestCertificate) => {
  await replace(key(), certificate.privateKeyPem)
  await replace(chain(), certificate.pem)
}
const open = async (interval?: number) => {
  watched = await watchListenerFiles({
    ...{ key: key(), chain: chain(), clock, interval },
    onProblem: (message) => problems.push(message),
  })
  return watched
}
const inUse = async () => (await watched?.current())?.subjectText

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'everleaf-files-'))
  problems = []
  watched = null
  await place(first)
})
afterEach(async () => {
  await watched?.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('a listener certificate given by files', () => {
  it('is read at the start', async () => {
    const files = await open()
    expect(files.read()).toEqual({ key: first.privateKeyPem, chain: first.pem })
    expect(await inUse()).toBe('CN=first')
    expect(problems).toEqual([])
  })

  it('is taken over by itself when both files have changed', async () => {
    const files = await open()
    const told: string[] = []
    files.onChange((pair) => told.push(pair.chain))
    await place(second)
    await vi.waitFor(async () => expect(await inUse()).toBe('CN=second'), { timeout: 5_000, interval: 10 })
    expect(files.read()).toEqual({ key: second.privateKeyPem, chain: second.pem })
    expect(told).toEqual([second.pem])
  })

  it('is looked at on every interval even where the system tells of no change', async () => {
    const links = await mkdtemp(join(tmpdir(), 'everleaf-links-'))
    try {
      // The watched folder holds links only, so nothing ever changes in it.
      await symlink(key(), join(links, 'key.pem'))
      await symlink(chain(), join(links, 'chain.pem'))
      const files = { key: join(links, 'key.pem'), chain: join(links, 'chain.pem') }
      watched = await watchListenerFiles({
        ...files,
        clock,
        interval: 5_000,
        onProblem: (message) => problems.push(message),
      })
      await place(second)
      expect(await inUse()).toBe('CN=first')
      await clock.advance(5_000)
      await vi.waitFor(async () => expect(await inUse()).toBe('CN=second'), { timeout: 5_000, interval: 10 })
    } finally {
      await rm(links, { recursive: true, force: true })
    }
  })

  it.each([
    [
      'a key of another certificate',
      () => replace(key(), second.privateKeyPem),
      /the key is not that of the certificate CN=first/,
    ],
    [
      'a certificate of another key',
      () => replace(chain(), second.pem),
      /the key is not that of the certificate CN=second/,
    ],
    ['a chain that is cut off', () => replace(chain(), second.pem.slice(0, -60)), /certificate chain: .*cut off/],
    ['a key that is cut off', () => replace(key(), second.privateKeyPem.slice(0, -60)), /not a private key/],
    ['an encrypted key', () => replace(key(), '-----BEGIN ENCRYPTED PRIVATE KEY-----\n'), /the key is encrypted/],
    ['an empty file', () => replace(chain(), ''), /certificate chain: /],
    ['a missing file', () => rm(chain()), /chain\.pem is not there/],
  ])('is not replaced by %s: the old one stays, which is told once', async (_, spoil, message) => {
    const files = await open()
    await spoil()
    await files.check()
    await files.check()
    expect(await inUse()).toBe('CN=first')
    expect(files.read()).toEqual({ key: first.privateKeyPem, chain: first.pem })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
    expect(problems[0]).toMatch(new RegExp(`serial ${first.parsed.serial} stays in use`))
  })

  it('is not replaced by one that is out of date', async () => {
    const files = await open()
    await place(leaf('expired', now - 5 * hour, now - hour))
    await files.check()
    await place(leaf('early', now + hour, now + 5 * hour))
    await files.check()
    expect(await inUse()).toBe('CN=first')
    expect(problems.filter((problem) => problem.includes('valid from'))).toHaveLength(2)
  })

  it('is taken over after a broken one was mended', async () => {
    const files = await open()
    await replace(key(), second.privateKeyPem)
    await files.check()
    expect(problems).toHaveLength(1)
    await replace(chain(), second.pem)
    await files.check()
    expect(await inUse()).toBe('CN=second')
  })

  it('goes on being watched when whoever is told of a change fails', async () => {
    const files = await open(5_000)
    const stop = files.onChange(() => {
      throw new Error('the server is closing')
    })
    await place(second)
    await vi.waitFor(() => expect(problems.join()).toContain('the server is closing'), { timeout: 5_000, interval: 10 })
    stop()
    await place(first)
    await clock.advance(5_000)
    await vi.waitFor(async () => expect(await inUse()).toBe('CN=first'), { timeout: 5_000, interval: 10 })
  })

  it('must be usable to begin with', async () => {
    await replace(key(), second.privateKeyPem)
    await expect(open()).rejects.toMatchObject({ code: 'configuration', message: expect.stringContaining(chain()) })
    await rm(key())
    await expect(open()).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('key.pem is not there'),
    })
  })

  it('may have expired to begin with, which is told: the CRLs must be served all the same', async () => {
    await place(leaf('expired', now - 5 * hour, now - hour))
    await open()
    expect(await inUse()).toBe('CN=expired')
    expect(problems[0]).toMatch(/devices will refuse it/)
  })
})
