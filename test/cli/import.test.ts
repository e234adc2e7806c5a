import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { chunksOf } from '../../src/cli/certificate-files.ts'
import { makeAuthority, makeLeaf } from '../support/certificates.ts'
import { type Console, openConsole } from '../support/console.ts'
import { day, makeWorld, type World } from '../support/world.ts'

let world: World
let everleaf: Console
let folder: string
beforeAll(async () => {
  world = await makeWorld()
  everleaf = await openConsole(world)
})
afterAll(async () => {
  await everleaf.close()
  await world.stop()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'everleaf-import-'))
  return () => rm(folder, { recursive: true })
})

/** Certificates of a CA that is not ours. */
function foreign(count: number): string[] {
  const [notBefore, notAfter] = [world.clock.now() - day, world.clock.now() + 40 * day]
  const issuer = makeAuthority({ name: 'Partner CA', notBefore, notAfter })
  return Array.from(
    { length: count },
    (_, index) => makeLeaf({ issuer, subject: `partner-${index}`, notBefore, notAfter }).pem,
  )
}

describe('everleaf certs import', () => {
  it('takes files and whole directories, and tells duplicates', async () => {
    const [one = '', two = '', three = ''] = foreign(3)
    await mkdir(join(folder, 'all'))
    await writeFile(join(folder, 'all', 'b.crt'), `${two}${three}`)
    await writeFile(join(folder, 'all', 'notes.txt'), 'not a certificate')
    await writeFile(join(folder, 'a.pem'), one)
    const first = await everleaf.run(
      'certs',
      'import',
      join(folder, 'a.pem'),
      join(folder, 'all'),
      '--source',
      'partner',
    )
    expect(first).toMatchObject({ code: 0, out: 'imported: 3, known already: 0\n' })
    const again = (await everleaf.json('certs', 'import', join(folder, 'all'))) as {
      imported: []
      duplicates: string[]
    }
    expect(again.imported).toEqual([])
    expect(again.duplicates).toHaveLength(2)
    const { certificates } = (await everleaf.json('certs', 'list', '--source', 'partner')) as {
      certificates: Array<{ authority: string; serial: string }>
    }
    expect(certificates).toHaveLength(3)
    const [found] = certificates
    expect(await everleaf.json('certs', 'show', `${found?.authority}/${found?.serial}`)).toMatchObject({
      source: 'partner',
    })
  })

  it('names the file that is wrong, and says what is in already', async () => {
    const [one = ''] = foreign(1)
    await writeFile(join(folder, '1.pem'), one)
    await writeFile(join(folder, '2.pem'), one.replace(/\n.{64}\n/, '\n'))
    const { code, out, err } = await everleaf.run('certs', 'import', folder)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(join(folder, '2.pem'))
    expect(err).toContain('1 files before it are in')
  })

  it('says where there is nothing to import', async () => {
    expect((await everleaf.run('certs', 'import', folder)).err).toContain('holds no .pem, .crt, .cer or .cert file')
    expect((await everleaf.run('certs', 'import', join(folder, 'absent'))).err).toContain(
      `cannot read ${join(folder, 'absent')}`,
    )
  })

  it('cuts large files between certificates, and loses no byte', () => {
    const block = fc
      .integer({ min: 1, max: 400 })
      .map((size) => `-----BEGIN CERTIFICATE-----\n${'A'.repeat(size)}\n-----END CERTIFICATE-----\n`)
    fc.assert(
      fc.property(
        fc.array(block, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 100, max: 2000 }),
        (blocks, limit) => {
          const chunks = chunksOf(blocks.join(''), limit)
          expect(chunks.join('')).toBe(blocks.join(''))
          for (const chunk of chunks) {
            expect(chunk.match(/-----BEGIN/g)?.length).toBe(chunk.match(/-----END/g)?.length)
            if (chunk.length > limit) expect(chunk.match(/-----BEGIN/g)).toHaveLength(1)
          }
        },
      ),
    )
  })
})
