import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createInstallation } from '../../src/gateway/installation.ts'
import { failingFiles } from '../publication/failing-files.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'everleaf-installation-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const paths = () => ({ truststore: join(directory, 'truststore.pem'), crl: join(directory, 'crl.pem') })
const read = async () =>
  (await Promise.all(Object.values(paths()).map((path) => readFile(path, 'utf8').catch(() => 'none')))).join(' ')

const attempt = async (number: number, files = failingFiles(Number.POSITIVE_INFINITY).files) => {
  const installation = createInstallation(paths(), files)
  await installation.begin()
  await installation.install(`truststore ${number}`, `crl ${number}`)
  await installation.end()
}

describe('the two files of a command gateway', () => {
  it.each(['a previous pair', 'nothing'])(
    'go back to %s from wherever an attempt was killed, or are a whole pair that is known as good',
    async (before) => {
      const old = before === 'nothing' ? 'none none' : 'truststore 1 crl 1'
      const seen = new Set<string>()
      for (let step = 0, killed = true; killed; step++) {
        await rm(directory, { recursive: true, force: true })
        if (before !== 'nothing') await attempt(1)
        killed = await attempt(2, failingFiles(step).files).then(
          () => false,
          () => true,
        )
        const installation = createInstallation(paths())
        const underWay = await installation.underWay()
        seen.add(`${await read()}${underWay === null ? '' : ', under way'}`)
        if (underWay === null) expect([old, 'truststore 2 crl 2']).toContain(await read())
        else {
          await installation.begin()
          await installation.goBack()
          expect(await read()).toBe(old)
          await installation.end()
        }
        await attempt(3)
        expect(await read()).toBe('truststore 3 crl 3')
      }
      const [truststore, crl] = before === 'nothing' ? ['none', 'none'] : ['truststore 1', 'crl 1']
      expect(seen).toEqual(
        new Set([
          old,
          `${truststore} ${crl}, under way`,
          `${truststore} crl 2, under way`,
          'truststore 2 crl 2, under way',
          'truststore 2 crl 2',
        ]),
      )
    },
  )

  it('go back on a full disk too', async () => {
    await attempt(1)
    const installation = createInstallation(paths())
    await installation.begin()
    await installation.install('truststore 2', 'crl 2')
    const full = failingFiles(Number.POSITIVE_INFINITY)
    const noSpace = async () => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    }
    const open = async (...rest: Parameters<typeof full.files.open>) =>
      rest[1] === 'r' ? full.files.open(...rest) : noSpace()
    await createInstallation(paths(), { ...full.files, open: open as typeof full.files.open }).goBack()
    expect(await read()).toBe('truststore 1 crl 1')
  })

  it('are left alone by an attempt that finds the disk full, which can then be undone', async () => {
    await attempt(1)
    for (let step = 0; ; step++) {
      const { files, steps } = failingFiles(step, { code: 'ENOSPC', dead: false })
      const failure = await attempt(2, files).catch((error: unknown) => error)
      if (failure === undefined) break
      expect(failure).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/the disk is full/) })
      const installation = createInstallation(paths())
      if ((await installation.underWay()) !== null) {
        await installation.goBack()
        await installation.end()
        expect(await read()).toBe('truststore 1 crl 1')
      }
      expect(steps.length).toBeGreaterThanOrEqual(step)
      await attempt(1)
    }
  })
})
