import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { hour, issuerContract, orderAt } from '../contract/issuer.ts'
import { makeAuthority, makeKey } from '../support/certificates.ts'
import { clock, initialise, newFolder, openIn, place, year } from './local-folder.ts'

issuerContract('local authorities', async () => {
  const directory = await newFolder()
  await initialise(directory)
  return { authorities: await openIn(directory), now: clock.now() }
})

issuerContract('local authorities with RSA keys made elsewhere', async () => {
  const directory = await newFolder()
  const life = { notBefore: clock.now() - hour, notAfter: clock.now() + year }
  const root = makeAuthority({ name: 'RSA Root', key: makeKey('rsa-3072'), ...life })
  const issuing = makeAuthority({ name: 'RSA Issuing', key: makeKey('rsa-2048'), parent: root, pathLength: 0, ...life })
  await place(directory, { 'root-g1': root, 'issuing-g1': issuing })
  return { authorities: await openIn(directory), now: clock.now() }
})

describe('new local authorities', () => {
  let directory: string
  let made: Awaited<ReturnType<typeof initialise>>
  beforeAll(async () => {
    directory = await newFolder()
    made = await initialise(directory)
  })

  it('are a P-384 root and a P-256 issuing CA named by generation', async () => {
    const { issuing, all } = await openIn(directory)
    expect(all.map(({ id, certificate }) => [id, certificate.subjectText])).toEqual([
      ['issuing-g1', 'CN=Everleaf Issuing G1'],
      ['root-g1', 'CN=Everleaf Root G1'],
    ])
    expect(issuing.id).toBe('issuing-g1')
    expect(made.root.signatureAlgorithm).toBe('ecdsa-sha384')
    expect(made.issuing.signatureAlgorithm).toBe('ecdsa-sha384')
    expect((await issuing.issuer.issue(orderAt(clock.now()))).signatureAlgorithm).toBe('ecdsa-sha256')
  })

  it('say what they may do, how deep they may go, and where to look for the CRL of the parent', () => {
    const { root, issuing } = made
    for (const { keyUsage } of [root, issuing]) expect(new Set(keyUsage)).toEqual(new Set(['keyCertSign', 'cRLSign']))
    expect([root.authority, issuing.authority]).toEqual([{ pathLength: 1 }, { pathLength: 0 }])
    expect(root.crlDistributionPoints).toEqual([])
    expect(issuing.crlDistributionPoints).toEqual(['http://crl.example:8080/crl/root-g1/0.crl'])
    expect(Buffer.from(issuing.der).toString('latin1')).toContain('http://crl.example:8080/ca/root-g1.cer')
    expect(issuing.authorityKeyIdentifier).toEqual(root.subjectKeyIdentifier)
  })

  it('live as long as they were told, and are valid already for readers whose clock is behind', () => {
    expect(made.root.notAfter).toBe(clock.now() + 10 * year)
    expect(made.issuing.notAfter).toBe(clock.now() + 5 * year)
    expect(made.root.notBefore).toBeLessThanOrEqual(clock.now() - 10 * 60_000)
    expect(made.issuing.notBefore).toBeGreaterThanOrEqual(made.root.notBefore)
  })

  it('lie in files that nobody else may read', async () => {
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect((await readdir(directory)).sort()).toEqual(
      ['issuing-g1', 'root-g1'].flatMap((id) => [`${id}.certificate.pem`, `${id}.key.pem`]),
    )
    for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
  })

  it('have a root that signs CRLs and issues nothing', async () => {
    const { all } = await openIn(directory)
    const root = all.find(({ id }) => id === 'root-g1')
    expect(root?.issuer).toBeNull()
    expect(root?.crlSigner).not.toBeNull()
  })

  it('are never overwritten, and nothing beside them either', async () => {
    const before = await readFile(join(directory, 'root-g1.key.pem'), 'utf8')
    await expect(initialise(directory)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(directory),
    })
    expect(await readFile(join(directory, 'root-g1.key.pem'), 'utf8')).toBe(before)
    const used = await newFolder()
    await mkdir(used)
    await writeFile(join(used, 'notes.txt'), 'mine')
    await expect(initialise(used)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('notes.txt'),
    })
    expect(await readdir(used)).toEqual(['notes.txt'])
  })

  it('fill an empty folder, and only one of two makers gets it', async () => {
    const empty = await newFolder()
    await mkdir(empty)
    await chmod(empty, 0o755)
    const results = await Promise.allSettled([initialise(empty), initialise(empty)])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await stat(empty)).mode & 0o777).toBe(0o700)
    expect(await readdir(join(empty, '..'))).toEqual(['authority'])
    await openIn(empty)
  })

  it('are refused where the issuing CA would outlive the root', async () => {
    const folder = await newFolder()
    await expect(initialise(folder, { validity: 11 * year })).rejects.toMatchObject({ code: 'configuration' })
    await expect(readdir(folder)).rejects.toThrow('ENOENT')
  })

  it('leave nothing behind where the folder cannot be made', async () => {
    const folder = await newFolder()
    await writeFile(folder, 'a file')
    await expect(initialise(folder)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(folder),
    })
    expect(await readdir(join(folder, '..'))).toEqual(['authority'])
  })
})
