import type { FileHandle } from 'node:fs/promises'
import { type FileSystem, realFileSystem } from '../../src/durable-files.ts'

export interface FailingFiles {
  files: FileSystem
  /** What was done, as `call name-of-file`. */
  steps: string[]
}

const shortName = (path: unknown): string =>
  String(path)
    .split('/')
    .slice(-1)
    .join('')
    .replace(/[0-9a-f-]{36}/, '#')

const writingCalls = new Set(['open', 'rename', 'rm', 'mkdir', 'writeFile', 'sync', 'chmod'])

/**
 * The real file system until call number `failAt` of those that write; then it throws `code`. `dead`: so does every later
 * call, as for a process that was killed, and the failing write leaves half of its bytes.
 */
export const failingFiles = (failAt: number, { code = 'EIO', dead = true } = {}): FailingFiles => {
  const steps: string[] = []
  let failed = false
  const step = async <T>(
    call: string,
    target: unknown,
    work: () => Promise<T>,
    torn?: () => Promise<unknown>,
  ): Promise<T> => {
    if (failed && dead) throw Object.assign(new Error('killed'), { code })
    if (writingCalls.has(call)) {
      if (steps.length === failAt && !failed) {
        failed = true
        await torn?.()
        throw Object.assign(new Error(`${code}: injected at ${call}`), { code })
      }
      steps.push(`${call} ${shortName(target)}`)
    }
    return work()
  }

  const wrapHandle = (handle: FileHandle, path: unknown): FileHandle =>
    new Proxy(handle, {
      get(target, property) {
        const value = Reflect.get(target, property)
        if (property === 'close' || typeof value !== 'function')
          return typeof value === 'function' ? value.bind(target) : value
        return (...rest: unknown[]) =>
          step(
            String(property),
            path,
            () => value.apply(target, rest),
            property === 'writeFile'
              ? () => target.writeFile(Buffer.from(rest[0] as Uint8Array).subarray(0, 2))
              : undefined,
          )
      },
    })

  const files = Object.fromEntries(
    Object.entries(realFileSystem)
      .filter(([, value]) => typeof value === 'function')
      .map(([call, value]) => [
        call,
        (...rest: unknown[]) =>
          step(call, rest[0], async () => {
            const result = await (value as (...parts: unknown[]) => Promise<unknown>)(...rest)
            return call === 'open' ? wrapHandle(result as FileHandle, rest[0]) : result
          }),
      ]),
  ) as unknown as FileSystem
  return { files, steps }
}
