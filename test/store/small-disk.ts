import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  directory: string
  grow(kilobytes: number): void
  /** From now on nothing can be written. */
  makeReadOnly(): void
  unmount(): void
}

/** A file system of so many kilobytes. Null where this user may not mount one. */
export function smallDisk(kilobytes: number): SmallDisk | null {
  const directory = mkdtempSync(join(tmpdir(), 'everleaf-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'everleaf-test', directory], { stdio: 'pipe' })
  } catch {
    rmSync(directory, { recursive: true })
    return null
  }
  return {
    directory,
    grow: (larger) => execFileSync('mount', ['-o', `remount,size=${larger}k`, directory]),
    makeReadOnly: () => execFileSync('mount', ['-o', 'remount,ro', directory]),
    unmount() {
      execFileSync('umount', ['--lazy', directory])
      rmSync(directory, { recursive: true })
    },
  }
}
