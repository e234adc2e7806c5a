import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { EverleafError, messageOf } from '../errors.ts'
import type { SecretSource } from './shape.ts'

const longest = 4096

/** Where the secret is looked for, for messages. */
const placeOf = (source: SecretSource): string => {
  if ('file' in source) return `file ${source.file}`
  if ('environment' in source) return `environment variable ${source.environment}`
  return `systemd credential ${source.credential}`
}

function contentOf(source: SecretSource, environment: Record<string, string | undefined>): string | undefined {
  if ('environment' in source) return environment[source.environment]
  if ('file' in source) {
    const mode = statSync(source.file).mode & 0o777
    if ((mode & 0o007) !== 0)
      throw new Error(`everybody may use it (mode 0${mode.toString(8)}); close it with "chmod 600 ${source.file}"`)
    return readFileSync(source.file, 'utf8')
  }
  const directory = environment.CREDENTIALS_DIRECTORY
  if (directory === undefined)
    throw new Error('CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential= or LoadCredentialEncrypted=')
  return readFileSync(join(directory, source.credential), 'utf8')
}

/**
 * The secret, without the line end that editors add. `configuration` when it is missing, empty or too long. `what`
 * names it.
 */
export function secretFrom(
  source: SecretSource,
  what: string,
  environment: Record<string, string | undefined>,
): string {
  let content: string | undefined
  try {
    content = contentOf(source, environment)
  } catch (error) {
    throw new EverleafError('configuration', `cannot read ${what} from ${placeOf(source)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const secret = content?.replace(/\r?\n$/, '')
  if (secret === undefined || secret === '')
    throw new EverleafError(
      'configuration',
      `no ${what}: ${placeOf(source)} is ${content === undefined ? 'not set' : 'empty'}`,
    )
  if (secret.length > longest || secret.includes('\n'))
    throw new EverleafError(
      'configuration',
      `${placeOf(source)}: ${what} should be one line of at most ${longest} characters`,
    )
  return secret
}
