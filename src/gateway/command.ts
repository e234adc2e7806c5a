import { EverleafError, isEverleafError, messageOf } from '../errors.ts'
import { createMutex } from '../mutex.ts'
import { sha256Hex } from '../pki/digest.ts'
import type { Gateway, GatewayArtefacts } from './gateway.ts'
import { createInstallation, type Digests } from './installation.ts'
import { createReload, type ReloadOptions } from './reload.ts'
import type { Workers } from './workers.ts'

export interface CommandGatewayOptions extends Omit<ReloadOptions, 'environment'> {
  /** `PATH` and whatever else the commands need. */
  environment?: ReloadOptions['environment']
}

const plainEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

const nothing: Digests = { truststore: null, crl: null }

interface Attempt {
  previous: Digests
  /** Whether the gateway may have read the new files. */
  reached: boolean
  before: Workers | null
}

const refuseOtherBytes = (what: string, pem: string, announced: string): void => {
  const found = sha256Hex(new TextEncoder().encode(pem))
  if (found !== announced)
    throw new EverleafError('bad-input', `${what} has SHA-256 ${found}, announced as ${announced}`)
}

const checkDigests = (name: string, { truststore, crl }: GatewayArtefacts): void => {
  for (const [what, { pem, sha256 }] of Object.entries({ truststore, crl }))
    refuseOtherBytes(`gateway ${name}: ${what}`, pem, sha256)
}

/**
 * nginx, HAProxy, or anything that reads a truststore and a CRL from files and can be told to read them again. Neither the
 * commands' exit nor the files on the disk prove that a reload took: a new worker, or `check`, does. With neither, `reload`'s exit is believed.
 */
export const createCommandGateway = (options: CommandGatewayOptions): Gateway => {
  const { name, truststore, crl } = options
  const serially = createMutex()
  const installation = createInstallation({ truststore, crl })
  const reload = createReload({ ...options, environment: { ...plainEnvironment, ...options.environment } })

  /** Undoes a failed attempt and throws what it was. `reached`: the gateway may have read the new files. */
  const undo = async (failure: unknown, { previous, reached, before }: Attempt): Promise<never> => {
    const code = isEverleafError(failure, 'unavailable') ? 'unavailable' : 'refused'
    const first = previous.truststore === null && previous.crl === null
    try {
      await installation.goBack()
      if (reached) await (first ? reload.withoutFiles() : reload.again(previous, before))
      await installation.end()
    } catch (error) {
      const message = `gateway ${name}: ${messageOf(failure)}; going back failed too, it may enforce either: ${messageOf(error)}`
      throw new EverleafError('unavailable', message, { cause: error })
    }
    const now = first ? 'there were none before, the new files are removed' : 'the previous ones are in force'
    throw new EverleafError(code, `gateway ${name}: ${messageOf(failure)}; ${now}`, { cause: failure })
  }

  return {
    name,
    limits: { truststoreCertificates: null, truststoreBytes: null, crlBytes: null },

    observe: () =>
      serially(async () => {
        // Cut off in the middle: nobody knows what it enforces.
        const digests = (await installation.underWay()) === null ? await installation.installed() : nothing
        return { truststoreSha256: digests.truststore, crlSha256: digests.crl }
      }),

    apply: (artefacts) =>
      serially(async () => {
        checkDigests(name, artefacts)
        const { truststore, crl } = artefacts
        const digests = { truststore: truststore.sha256, crl: crl.sha256 }
        const cutOff = (await installation.underWay()) !== null
        const attempt: Attempt = { previous: await installation.begin(), reached: cutOff, before: null }
        try {
          await installation.install(truststore.pem, crl.pem)
          await reload.test(digests)
          const before = await reload.look()
          // Workers found after a cut-off attempt may have read either files: they prove nothing later.
          if (!cutOff) attempt.before = before
          attempt.reached = true
          await reload.prove(digests, before)
        } catch (error) {
          await undo(error, attempt)
        }
        await installation.end()
      }),
  }
}
