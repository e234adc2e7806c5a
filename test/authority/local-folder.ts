import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { initialiseLocalAuthorities, openLocalAuthorities } from '../../src/authority/local.ts'
import type { Clock } from '../../src/clock/clock.ts'
import type { KeyType } from '../../src/model.ts'
import { hour } from '../contract/issuer.ts'
import { fakeClock } from '../fakes/clock.ts'
import { seededRandom } from '../fakes/random.ts'
import type { TestAuthority } from '../support/certificates.ts'

export const year = 365 * 24 * hour
export const passphrase = 'correct horse battery staple'
export const clock = fakeClock()

const folders: string[] = []
export const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'everleaf-authority-'))
  folders.push(folder)
  return join(folder, 'authority')
}
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

interface Changes {
  root?: KeyType
  issuing?: KeyType
  validity?: number
  clock?: Clock
}

export const initialise = (directory: string, changes: Changes = {}) =>
  initialiseLocalAuthorities({
    directory,
    name: 'Everleaf',
    root: { validity: 10 * year, key: changes.root ?? 'ec-p384' },
    issuing: { validity: changes.validity ?? 5 * year, key: changes.issuing ?? 'ec-p256' },
    passphrase,
    publicUrl: 'http://crl.example:8080',
    clock: changes.clock ?? clock,
    random: seededRandom(),
  })

export const openIn = (directory: string, options: { passphrase?: string } = {}) =>
  openLocalAuthorities({ directory, passphrase, clock, ...options })

/** Keys and certificates made elsewhere and placed by hand. */
export const place = async (directory: string, authorities: Record<string, TestAuthority>): Promise<void> => {
  await mkdir(directory, { recursive: true })
  for (const [id, { pem, privateKey }] of Object.entries(authorities)) {
    const key = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    await writeFile(join(directory, `${id}.certificate.pem`), pem)
    await writeFile(join(directory, `${id}.key.pem`), key)
  }
}
