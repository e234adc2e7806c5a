import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/clock/system.ts'
import { type CommandGatewayOptions, createCommandGateway } from '../../src/gateway/command.ts'
import type { Gateway, GatewayArtefacts } from '../../src/gateway/gateway.ts'
import { sha256Hex } from '../../src/pki/digest.ts'

const digest = (text: string) => sha256Hex(new TextEncoder().encode(text))

export const artefacts = (number: number, word = 'good'): GatewayArtefacts => {
  const [truststore, crl] = [`${word} truststore ${number}\n`, `${word} crl ${number}\n`]
  return {
    truststore: { version: number, pem: truststore, sha256: digest(truststore) },
    crl: { pem: crl, sha256: digest(crl) },
  }
}

export interface ScriptGateway {
  gateway(options?: Partial<CommandGatewayOptions>): Gateway
  truststore: string
  crl: string
  /** Which pair the gateway has read last; null: none or a mixed one. */
  enforced(): Promise<number | null>
  /** What is installed, as `truststore + crl`. */
  installed(): Promise<string>
  /** A command that runs these lines of shell. */
  script(name: string, lines: string): Promise<string[]>
}

const readText = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '(none)')

/** A gateway that is a few lines of shell: it takes files that say `good`, and copies them when told to reload. */
export const openScriptGateway = async (directory: string): Promise<ScriptGateway> => {
  const [truststore, crl] = [join(directory, 'etc', 'truststore.pem'), join(directory, 'etc', 'crl.pem')]
  const running = join(directory, 'running')
  await mkdir(running)
  const script = async (name: string, lines: string): Promise<string[]> => {
    const path = join(directory, `${name}.sh`)
    await writeFile(path, lines)
    return ['sh', path, running]
  }
  const reload = await script(
    'reload',
    'grep -q good "$EVERLEAF_TRUSTSTORE" || { echo "reload: no good truststore" >&2; exit 3; }\ncp "$EVERLEAF_TRUSTSTORE" "$EVERLEAF_CRL" "$1"\n',
  )
  return {
    truststore,
    crl,
    script,
    gateway: (options) =>
      createCommandGateway({
        name: 'script',
        truststore,
        crl,
        test: null,
        reload,
        pidFile: null,
        check: null,
        timeout: 5_000,
        clock: systemClock,
        ...options,
      }),
    async enforced() {
      const read = (await readText(join(running, 'truststore.pem'))) + (await readText(join(running, 'crl.pem')))
      const [, first, second] = /^good truststore (\d+)\ngood crl (\d+)\n$/.exec(read) ?? []
      return first !== undefined && first === second ? Number(first) : null
    },
    installed: async () => ((await readText(truststore)) + (await readText(crl))).replaceAll('\n', ' ').trim(),
  }
}
