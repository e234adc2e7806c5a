import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock/system.ts'
import type { FileSystem } from '../../src/durable-files.ts'
import { createDirectoryPublication } from '../../src/publication/directory.ts'
import { bytesOf, manifestOf, publicationContract } from '../contract/publication.ts'
import { failingFiles } from './failing-files.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'everleaf-publication-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const open = (options: { files?: FileSystem; history?: number; lockTimeout?: number } = {}) =>
  createDirectoryPublication({ directory, clock: systemClock, ...options })

publicationContract('a directory', async () => ({
  publication: open(),
  other: open(),
  tamper: (key, bytes) => writeFile(join(directory, key), bytes),
  remove: (key) => rm(join(directory, key)),
  close: async () => undefined,
}))

const truststore = 'truststore/truststore.pem'
const crl = 'crl/issuing-g1/0.crl'

const put = async (key: string, text: string, version: number, publication = open()): Promise<string> => {
  const bytes = bytesOf(text)
  const live = await publication.get(key)
  return publication.put(key, bytes, manifestOf(bytes, version), live?.version ?? null)
}

const visible = async (folder: string): Promise<string[]> =>
  (await readdir(join(directory, folder))).filter((name) => !name.startsWith('.')).sort()

describe('a directory publication', () => {
  it('writes files that everybody may read, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await put(crl, 'one', 1)
    } finally {
      process.umask(before)
    }
    for (const name of ['0.crl', '0.crl.manifest.json'])
      expect((await stat(join(directory, 'crl/issuing-g1', name))).mode & 0o777).toBe(0o644)
  })

  it('flushes each file before it is renamed and the folder after it, the artefact before its manifest', async () => {
    const { files, steps } = failingFiles(Number.POSITIVE_INFINITY)
    await put(crl, 'one', 1, open({ files }))
    expect(steps.filter((step) => !/^mkdir|^open (?!\.0)/.test(step)).slice(-10)).toEqual(
      [
        'open .0.crl.#.tmp',
        'chmod .0.crl.#.tmp',
        'writeFile .0.crl.#.tmp',
        'sync .0.crl.#.tmp',
        'rename .0.crl.#.tmp',
        'sync issuing-g1',
        ...['open', 'chmod', 'writeFile', 'sync', 'rename'].map((call) => `${call} .0.crl.manifest.json.#.tmp`),
        'sync issuing-g1',
      ].slice(-10),
    )
  })

  it('keeps the old versions of a truststore, as many as told, and none of a CRL', async () => {
    const publication = open({ history: 2 })
    for (let version = 1; version <= 12; version++) {
      await put(truststore, `version ${version}`, version, publication)
      await put(crl, `version ${version}`, version, publication)
    }
    expect(await visible('truststore')).toEqual([
      'truststore.pem',
      'truststore.pem.manifest.json',
      'truststore.pem.v10',
      'truststore.pem.v11',
    ])
    expect(await readFile(join(directory, `${truststore}.v11`), 'utf8')).toBe('version 11')
    expect(await visible('crl/issuing-g1')).toEqual(['0.crl', '0.crl.manifest.json'])
  })

  it('takes no key that names a manifest or an old version', async () => {
    for (const key of [`${crl}.manifest.json`, `${truststore}.v3`])
      await expect(open().get(key)).rejects.toMatchObject({ code: 'bad-input' })
  })

  it('takes a manifest that is not one for none, and can be put over', async () => {
    await put(crl, 'one', 1)
    for (const text of ['', '{', 'null', '[]', '{"version":"-1"}', '{"version":"1","sha256":1}']) {
      await writeFile(join(directory, `${crl}.manifest.json`), text)
      expect(await open().manifest(crl)).toBeNull()
      expect((await open().get(crl))?.manifest).toBeNull()
    }
    await put(crl, 'two', 2)
    expect((await open().get(crl))?.manifest?.version).toBe('2')
  })

  it('says plainly that the disk is full, and leaves what was there', async () => {
    await put(crl, 'one', 1)
    const { files } = failingFiles(3, { code: 'ENOSPC', dead: false })
    await expect(put(crl, 'two', 2, open({ files }))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/0\.crl: the disk is full \(ENOSPC\)/),
    })
    expect(new TextDecoder().decode((await open().get(crl))?.bytes)).toBe('one')
    expect((await readdir(join(directory, 'crl/issuing-g1'))).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('says plainly that a directory cannot be written', async () => {
    await writeFile(join(directory, 'crl'), 'a file where a folder should be')
    await expect(put(crl, 'one', 1)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(directory),
    })
    const { files } = failingFiles(0, { code: 'EROFS', dead: false })
    await expect(put(truststore, 'one', 1, open({ files }))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/read-only \(EROFS\)/),
    })
  })

  it('holds at whatever step a put is killed: whole bytes, a manifest that fits or none, and the next put mends it', async () => {
    const outcomes = new Set<string>()
    for (let step = 0; ; step++) {
      await rm(directory, { recursive: true, force: true })
      await put(truststore, 'version 1', 1)
      await put(truststore, 'version 2', 2)
      const { files, steps } = failingFiles(step)
      const killed = await put(truststore, 'version 3', 3, open({ files })).then(
        () => false,
        () => true,
      )
      const live = await open().get(truststore)
      const text = new TextDecoder().decode(live?.bytes)
      const version = live?.manifest?.version ?? null
      expect([
        ['version 2', '2'],
        ['version 3', null],
        ['version 3', '3'],
      ]).toContainEqual([text, version])
      expect(['2', '3']).toContain((await open().manifest(truststore))?.version)
      outcomes.add(`${text} ${version}`)
      await put(truststore, 'version 4', 4)
      expect((await open().get(truststore))?.manifest?.version).toBe('4')
      expect((await readdir(join(directory, 'truststore'))).filter((name) => name.endsWith('.tmp'))).toEqual(
        expect.not.arrayContaining([expect.stringMatching(/^\.truststore\.pem\.[0-9a-f-]{36}\.tmp$/)]),
      )
      if (!killed) {
        expect(steps.length).toBeLessThanOrEqual(step)
        break
      }
    }
    expect(outcomes).toEqual(new Set(['version 2 2', 'version 3 null', 'version 3 3']))
  })

  it('is not held up by a writer that was killed while it held the lock', async () => {
    await put(crl, 'one', 1)
    const lock = join(directory, '.lock')
    const script = `new (require('node:sqlite').DatabaseSync)(${JSON.stringify(lock)}).exec('BEGIN EXCLUSIVE'); console.log('held'); setInterval(() => {}, 1000)`
    const holder = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await expect(put(crl, 'two', 2, open({ lockTimeout: 100 }))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/another process has held the lock .* for 100 ms/),
    })
    const waiting = put(crl, 'two', 2)
    holder.kill('SIGKILL')
    await waiting
    expect((await open().get(crl))?.manifest?.version).toBe('2')
  })

  it('lets one of two processes win that write at once', async () => {
    const first = await put(crl, 'base', 1)
    const script = new URL('./put-from-child.ts', import.meta.url).pathname
    const child = (text: string) =>
      new Promise<string>((resolve, reject) => {
        const process_ = spawn(process.execPath, [script, directory, crl, text, first])
        let output = ''
        process_.stdout.on('data', (part) => {
          output += part
        })
        process_.once('error', reject)
        process_.once('close', () => resolve(output.trim()))
      })
    const results = await Promise.all([child('from a'), child('from b'), child('from c')])
    expect(results.sort()).toEqual(['conflict', 'conflict', 'won'])
  })
})
