import { EverleafError } from '../errors.ts'
import { sha256Hex } from '../pki/digest.ts'
import type { Manifest } from './publication.ts'

const decimal = /^(0|[1-9][0-9]{0,59})$/

export const encodeManifest = ({ version, sha256, count, publishedAt }: Manifest): string =>
  `${JSON.stringify({ version, sha256, count, publishedAt }, null, 2)}\n`

/** Null for anything that is not a manifest. */
export const readManifest = (bytes: Uint8Array | null): Manifest | null => {
  if (bytes === null) return null
  let value: Partial<Record<keyof Manifest, unknown>> | null
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { version, sha256, count, publishedAt } = value
  if (typeof version !== 'string' || !decimal.test(version) || typeof sha256 !== 'string') return null
  if (typeof count !== 'number' || typeof publishedAt !== 'string') return null
  return { version, sha256, count, publishedAt }
}

/** Throws `bad-input` where the manifest does not describe the bytes, `refused` where its version is below the high-water mark. */
export const checkManifest = (key: string, bytes: Uint8Array, manifest: Manifest, highest: Manifest | null): void => {
  const digest = sha256Hex(bytes)
  if (manifest.sha256 !== digest)
    throw new EverleafError('bad-input', `manifest of ${key} has SHA-256 ${manifest.sha256}, its bytes have ${digest}`)
  if (!decimal.test(manifest.version))
    throw new EverleafError(
      'bad-input',
      `manifest of ${key} has version "${manifest.version}", expected a decimal number`,
    )
  if (highest !== null && BigInt(manifest.version) < BigInt(highest.version))
    throw new EverleafError(
      'refused',
      `version ${manifest.version} of ${key} is below ${highest.version}, which was published already`,
    )
}
