import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { EverleafError } from '../../src/errors.ts'

/** A folder of configuration files that is gone after the tests of the file that asked for it. */
export function configFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-config-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  const write = (text: string, name = 'everleaf.yaml'): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const load = (text: string, environment: Record<string, string> = {}) =>
    loadConfig({ file: write(text), environment })

  /** The message of the refusal, without the folder. */
  const refusal = (text: string, environment: Record<string, string> = {}): string => {
    try {
      load(text, environment)
    } catch (error) {
      expect(error).toBeInstanceOf(EverleafError)
      expect(error).toMatchObject({ code: 'configuration' })
      return (error as EverleafError).message.replaceAll(`${folder}/`, '')
    }
    throw new Error('nothing was refused')
  }
  return { folder, write, load, refusal }
}
