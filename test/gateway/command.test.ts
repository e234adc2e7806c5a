import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gatewayContract } from '../contract/gateway.ts'
import { artefacts, openScriptGateway, type ScriptGateway } from './script-gateway.ts'

let directory: string
let place: ScriptGateway
const start = async () => {
  directory = await mkdtemp(join(tmpdir(), 'everleaf-gateway-'))
  place = await openScriptGateway(directory)
}
const stop = () => rm(directory, { recursive: true, force: true })

const none = { truststoreSha256: null, crlSha256: null }
const digestsOf = (number: number) => ({
  truststoreSha256: artefacts(number).truststore.sha256,
  crlSha256: artefacts(number).crl.sha256,
})

gatewayContract('a command', async () => {
  await start()
  return {
    gateway: place.gateway(),
    artefacts,
    unusable: () => artefacts(9, 'broken'),
    enforced: () => place.enforced(),
    close: stop,
  }
})

describe('a command gateway', () => {
  beforeEach(start)
  afterEach(stop)

  it('has nothing before the first installation', async () => {
    expect(await place.gateway().observe()).toEqual(none)
  })

  it('removes the first files when they fail, since there is nothing to go back to', async () => {
    await expect(place.gateway().apply(artefacts(1, 'broken'))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/reload: no good truststore; there were none before, the new files are removed/),
    })
    expect(await place.installed()).toBe('(none)(none)')
    expect(await place.gateway().observe()).toEqual(none)
    await place.gateway().apply(artefacts(1))
    expect(await place.enforced()).toBe(1)
  })

  it('asks the test first and reloads nothing that it refuses', async () => {
    const test = await place.script('test', 'echo "line 7: no such anchor" >&2; exit 1\n')
    await place.gateway().apply(artefacts(1))
    const reload = await place.script('counted', `echo reload >> ${directory}/reloads\n`)
    await expect(place.gateway({ test, reload }).apply(artefacts(2))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(
        /test\.sh .* exited with 1: line 7: no such anchor; the previous ones are in force/,
      ),
    })
    expect(await place.installed()).toBe('good truststore 1 good crl 1')
    expect(await readdir(directory)).not.toContain('reloads')
  })

  it('tells its commands what is installed where, and nothing of this process', async () => {
    process.env.EVERLEAF_TEST_SECRET = 'hunter2'
    try {
      const test = await place.script('test', `env > ${directory}/environment\n`)
      await place.gateway({ test, environment: { PATH: process.env.PATH ?? '', NOTE: 'ours' } }).apply(artefacts(1))
    } finally {
      delete process.env.EVERLEAF_TEST_SECRET
    }
    const environment = (await readFile(join(directory, 'environment'), 'utf8')).split('\n')
    expect(environment).toEqual(
      expect.arrayContaining([
        'NOTE=ours',
        'EVERLEAF_GATEWAY=script',
        `EVERLEAF_TRUSTSTORE=${place.truststore}`,
        `EVERLEAF_CRL=${place.crl}`,
        `EVERLEAF_TRUSTSTORE_SHA256=${artefacts(1).truststore.sha256}`,
        `EVERLEAF_CRL_SHA256=${artefacts(1).crl.sha256}`,
      ]),
    )
    expect(environment.join('\n')).not.toContain('hunter2')
  })

  it('passes arguments as they are: no shell reads them', async () => {
    const test = [...(await place.script('test', `printf '%s|' "$@" > ${directory}/arguments\n`)), '$(id); *', '']
    await place.gateway({ test }).apply(artefacts(1))
    expect(await readFile(join(directory, 'arguments'), 'utf8')).toBe(`${join(directory, 'running')}|$(id); *||`)
  })

  it('polls the check until it is content', async () => {
    const check = await place.script('check', `echo x >> ${directory}/looks; [ $(wc -l < ${directory}/looks) -ge 3 ]\n`)
    await place.gateway({ check }).apply(artefacts(1))
    expect((await readFile(join(directory, 'looks'), 'utf8')).length).toBe(6)
  })

  it('goes back when the check is never content, and checks that it went back', async () => {
    await place.gateway().apply(artefacts(1))
    const lines = `[ "$EVERLEAF_CRL_SHA256" = ${digestsOf(1).crlSha256} ] || { echo "serves something else"; exit 4; }\n`
    const check = await place.script('check', lines)
    await expect(place.gateway({ check, timeout: 200 }).apply(artefacts(2))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/exited with 4: serves something else; the previous ones are in force/),
    })
    expect(await place.enforced()).toBe(1)
    expect(await place.gateway().observe()).toEqual(digestsOf(1))
  })

  it('says so when it can neither go forward nor prove that it went back, and does not call that known', async () => {
    await place.gateway().apply(artefacts(1))
    const check = await place.script('check', 'exit 5\n')
    await expect(place.gateway({ check, timeout: 100 }).apply(artefacts(2))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/going back failed too, it may enforce either/),
    })
    expect(await place.installed()).toBe('good truststore 1 good crl 1')
    expect(await place.gateway().observe()).toEqual(none)
    await place.gateway().apply(artefacts(2))
    expect(await place.gateway().observe()).toEqual(digestsOf(2))
  })

  it('ends a command that hangs, with everything that it started', async () => {
    const test = await place.script('test', `sleep 300 & echo $! > ${directory}/sleeper; echo waiting; wait\n`)
    await expect(place.gateway({ test, timeout: 300 }).apply(artefacts(1))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/did not end within 300 ms: waiting/),
    })
    const sleeper = (await readFile(join(directory, 'sleeper'), 'utf8')).trim()
    const state = await readFile(`/proc/${sleeper}/stat`, 'utf8').catch(() => 'gone')
    expect(state === 'gone' || / Z /.test(state)).toBe(true)
  })

  it('does not wait for a daemon that a command leaves behind with its output open', async () => {
    const reload = await place.script(
      'daemon',
      `sleep 60 & echo $! > ${directory}/daemon; cp "$EVERLEAF_TRUSTSTORE" "$EVERLEAF_CRL" "$1"\n`,
    )
    await place.gateway({ reload }).apply(artefacts(1))
    const daemon = Number(await readFile(join(directory, 'daemon'), 'utf8'))
    expect(process.kill(daemon, 0)).toBe(true)
    process.kill(daemon)
  })

  it('keeps the end only of what a command says without end', async () => {
    const test = await place.script('test', 'head -c 5000000 /dev/zero | tr "\\0" x; echo the end >&2; exit 1\n')
    const failure = await place
      .gateway({ test })
      .apply(artefacts(1))
      .catch((error: Error) => error)
    expect(failure).toMatchObject({ code: 'refused', message: expect.stringContaining('the end') })
    expect((failure as Error).message.length).toBeLessThan(3_000)
  })

  it('says which program is not there, and puts the files back', async () => {
    await place.gateway().apply(artefacts(1))
    const gateway = place.gateway({ reload: ['no-such-program-anywhere'] })
    await expect(gateway.apply(artefacts(2))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/no-such-program-anywhere could not be started/),
    })
    expect(await place.installed()).toBe('good truststore 1 good crl 1')
  })

  it('says that a path cannot be written, before it touches anything', async () => {
    await writeFile(join(directory, 'file'), '')
    const gateway = place.gateway({ crl: join(directory, 'file', 'crl.pem') })
    await expect(gateway.apply(artefacts(1))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/making the directory .*file: something else has that name \(EEXIST\)/),
    })
    expect(await place.installed()).toBe('(none)(none)')
  })

  it('takes a restart for a reload: another master with workers of its own', async () => {
    const pidFile = join(directory, 'pid')
    const master = ['sh', '-c', `sleep 60 & echo $$ > ${pidFile}; wait`]
    const lines = `[ -f ${pidFile} ] && pkill -P $(cat ${pidFile}); setsid ${master[0]} -c '${master[2]}' > /dev/null 2>&1 &\n`
    const reload = await place.script('restart', lines)
    const gateway = place.gateway({ reload, pidFile })
    try {
      await gateway.apply(artefacts(1))
      const first = await readFile(pidFile, 'utf8')
      await gateway.apply(artefacts(2))
      expect(await readFile(pidFile, 'utf8')).not.toBe(first)
      expect(await gateway.observe()).toEqual(digestsOf(2))
    } finally {
      process.kill(-Number(await readFile(pidFile, 'utf8')))
    }
  })
})

describe('a command gateway whose server is killed in the middle', () => {
  beforeEach(start)
  afterEach(stop)

  /** Applies number 2 in a process of its own that its own test or reload command kills. */
  const killedAt = async (step: 'test' | 'reload', before = ''): Promise<void> => {
    const deadly = await place.script('deadly', `${before}\nkill -9 $PPID\n`)
    const commands = step === 'test' ? { test: deadly } : { reload: deadly }
    const script = new URL('./apply-from-child.ts', import.meta.url).pathname
    const argument = JSON.stringify({ truststore: place.truststore, crl: place.crl, reload: ['true'], ...commands })
    const child = spawn(process.execPath, [script, argument], { stdio: 'inherit' })
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL')
  }
  const takes = 'cp "$EVERLEAF_TRUSTSTORE" "$EVERLEAF_CRL" "$1"'

  it.each(['test', 'reload'] as const)(
    'at its %s does not call known what it enforces, and the next apply mends it',
    async (step) => {
      await place.gateway().apply(artefacts(1))
      await killedAt(step)
      expect(await place.installed()).toBe('good truststore 2 good crl 2')
      expect(await place.gateway().observe()).toEqual(none)
      await place.gateway().apply(artefacts(2))
      expect(await place.enforced()).toBe(2)
      expect(await place.gateway().observe()).toEqual(digestsOf(2))
    },
  )

  it('goes back to what was proven last, not to what was installed when it was killed', async () => {
    await place.gateway().apply(artefacts(1))
    await killedAt('reload', takes)
    expect(await place.enforced()).toBe(2)
    await expect(place.gateway().apply(artefacts(3, 'broken'))).rejects.toMatchObject({ code: 'refused' })
    expect(await place.installed()).toBe('good truststore 1 good crl 1')
    expect(await place.enforced()).toBe(1)
    expect(await place.gateway().observe()).toEqual(digestsOf(1))
  })

  it('at the first installation of all goes back to nothing when the next one fails too', async () => {
    await killedAt('test')
    expect(await place.gateway().observe()).toEqual(none)
    await expect(place.gateway().apply(artefacts(3, 'broken'))).rejects.toMatchObject({ code: 'refused' })
    expect(await place.installed()).toBe('(none)(none)')
  })

  it('says which file to look at when the record of the attempt is damaged', async () => {
    await place.gateway().apply(artefacts(1))
    for (const text of ['', '{}', '{"truststore":"abc","crl":null}']) {
      await writeFile(`${place.truststore}.applying`, text)
      await expect(place.gateway().apply(artefacts(2))).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringContaining(`${place.truststore}.applying`),
      })
    }
    expect(await place.installed()).toBe('good truststore 1 good crl 1')
  })

  it('ignores and removes what a killed writer left half-written', async () => {
    await place.gateway().apply(artefacts(1))
    const torn = join(directory, 'etc', '.truststore.pem.00000000-0000-4000-8000-000000000000.tmp')
    await writeFile(torn, 'good tru')
    expect(await place.gateway().observe()).toEqual(digestsOf(1))
    await place.gateway().apply(artefacts(2))
    expect(await readdir(join(directory, 'etc'))).not.toContain(torn.split('/').at(-1))
  })
})
