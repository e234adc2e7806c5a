import { EverleafError } from '../errors.ts'

const segment = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const longest = 512

/** Names that the directory uses for itself beside an artefact. */
export const manifestSuffix = '.manifest.json'
const reserved = /\.manifest\.json$|\.v\d+$/

/** Refuses every key that could leave the directory, hide in it, or collide with what lies beside an artefact. */
export const checkKey = (key: string): void => {
  const shown = JSON.stringify(key.slice(0, 64))
  const refuse = (why: string): never => {
    throw new EverleafError('bad-input', `publication key ${shown}: ${why}, expected e.g. "crl/issuing-g1/0.crl"`)
  }
  if (key.length > longest) refuse(`${key.length} characters long, at most ${longest} allowed`)
  if (reserved.test(key)) refuse('ends like a manifest or an old version')
  for (const part of key.split('/'))
    if (!segment.test(part)) refuse(`part ${JSON.stringify(part.slice(0, 64))} is not a plain name`)
}
