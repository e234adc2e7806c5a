import { createPrivateKey } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLocalAuthorities } from '../../src/authority/local.ts'
import { hour, orderAt } from '../contract/issuer.ts'
import { fakeClock } from '../fakes/clock.ts'
import { makeAuthority } from '../support/certificates.ts'
import { clock, initialise, newFolder, openIn, passphrase, place, year } from './local-folder.ts'

describe('opening local authorities', () => {
  let directory: string
  beforeEach(async () => {
    directory = await newFolder()
    await initialise(directory)
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))
  const file = (name: string) => join(directory, name)

  it('says of a wrong passphrase which file did not open and which option to look at, and never the passphrase', async () => {
    const failure = await openIn(directory, { passphrase: 'wrong one' }).catch((error: Error) => error)
    expect(failure).toMatchObject({
      code: 'configuration',
      message: expect.stringMatching(
        /\.key\.pem does not open with this passphrase; check what authority\.passphrase names/,
      ),
    })
    expect(String(failure)).not.toContain('wrong one')
  })

  it('says of a folder without authorities how to make them', async () => {
    await expect(openIn(join(directory, 'none'))).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('everleaf init'),
    })
  })

  it('refuses a key that is not that of its certificate', async () => {
    await writeFile(file('issuing-g1.key.pem'), await readFile(file('root-g1.key.pem')))
    await expect(openIn(directory)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/issuing-g1\.key\.pem is not the key of .*issuing-g1\.certificate\.pem/),
    })
  })

  it('refuses files that are cut off', async () => {
    for (const name of ['issuing-g1.key.pem', 'issuing-g1.certificate.pem', 'root-g1.certificate.pem']) {
      const whole = await readFile(file(name), 'utf8')
      await writeFile(file(name), whole.slice(0, -60))
      await expect(openIn(directory)).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining(name) })
      await writeFile(file(name), whole)
    }
    await openIn(directory)
  })

  it('refuses a key that is not encrypted, with the command that encrypts it', async () => {
    const key = createPrivateKey({ key: await readFile(file('issuing-g1.key.pem')), passphrase })
    await writeFile(file('issuing-g1.key.pem'), key.export({ type: 'pkcs8', format: 'pem' }))
    await expect(openIn(directory)).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringMatching(/openssl pkcs8 -topk8 .*issuing-g1\.key\.pem/),
    })
  })

  it('refuses an issuing CA whose root is not there or is another of the same name', async () => {
    await rm(file('root-g1.certificate.pem'))
    await expect(openIn(directory)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('Everleaf Root G1'),
    })
    const other = await newFolder()
    await initialise(other)
    for (const name of ['root-g1.certificate.pem', 'root-g1.key.pem'])
      await writeFile(file(name), await readFile(join(other, name)))
    await expect(openIn(directory)).rejects.toMatchObject({ code: 'damaged' })
  })

  it('works with a root whose key is kept elsewhere, which then can sign nothing', async () => {
    await rm(file('root-g1.key.pem'))
    const { all, issuing } = await openIn(directory)
    expect(all.find(({ id }) => id === 'root-g1')).toMatchObject({ issuer: null, crlSigner: null })
    await issuing.issuer.issue(orderAt(clock.now()))
  })

  it('refuses a folder whose issuing CA has no key', async () => {
    await rm(file('issuing-g1.key.pem'))
    await expect(openIn(directory)).rejects.toMatchObject({ code: 'configuration' })
  })

  it('issues by the highest generation, by number and not by letter', async () => {
    const folder = await newFolder()
    const life = { notBefore: clock.now() - hour, notAfter: clock.now() + year }
    const root = makeAuthority({ name: 'Root G1', ...life })
    const [second, tenth] = [2, 10].map((n) =>
      makeAuthority({ name: `Issuing G${n}`, parent: root, pathLength: 0, ...life }),
    )
    if (second === undefined || tenth === undefined) throw new Error('no authorities')
    await place(folder, { 'root-g1': root, 'issuing-g2': second, 'issuing-g10': tenth })
    expect((await openIn(folder)).issuing.id).toBe('issuing-g10')
  })

  it('refuses to issue by a CA that is past its end', async () => {
    const late = fakeClock(clock.now() + 6 * year)
    const { issuing } = await openLocalAuthorities({ directory, passphrase, clock: late })
    await expect(issuing.issuer.issue(orderAt(clock.now()))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('this CA expired at'),
    })
  })

  it('changes no file', async () => {
    const read = async () => Promise.all((await readdir(directory)).sort().map((name) => readFile(file(name), 'utf8')))
    const before = await read()
    await openIn(directory)
    await openIn(directory, { passphrase: 'wrong' }).catch(() => undefined)
    expect(await read()).toEqual(before)
  })
})
