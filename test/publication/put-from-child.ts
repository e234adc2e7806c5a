import { systemClock } from '../../src/clock/system.ts'
import { isEverleafError } from '../../src/errors.ts'
import { sha256Hex } from '../../src/pki/digest.ts'
import { createDirectoryPublication } from '../../src/publication/directory.ts'

/** A writer in a process of its own: argv is directory, key, text and the version that it believes to be live. */
const [directory = '', key = '', text = '', ifVersion = ''] = process.argv.slice(2)
const bytes = new TextEncoder().encode(text)
const manifest = { version: '2', sha256: sha256Hex(bytes), count: 1, publishedAt: '2027-01-01T00:00:00.000Z' }
try {
  await createDirectoryPublication({ directory, clock: systemClock }).put(key, bytes, manifest, ifVersion)
  console.log('won')
} catch (error) {
  console.log(isEverleafError(error) ? error.code : String(error))
}
