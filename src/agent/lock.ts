import { readFileSync } from 'node:fs'
import type { Disk } from './disk.ts'
import { AgentError } from './error.ts'
import { publicMode, readText } from './files.ts'

/**
 * One agent per directory. The lock file names its holder by boot, process id and start time, so that neither a reboot nor a
 * process that happens to get the same id keeps a device locked out.
 */
export interface Processes {
  /** This process. */
  self(): string
  isAlive(holder: string): boolean
}

const readProc = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Field 22 of /proc/<pid>/stat, counted after the name, which may hold blanks; empty where there is no /proc. */
const startOf = (pid: number): string =>
  readProc(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ')[19] ?? ''

const identity = (pid: number): string => `${pid} ${startOf(pid)} ${readProc('/proc/sys/kernel/random/boot_id')}`.trim()

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

export const systemProcesses: Processes = {
  self: () => identity(process.pid),
  isAlive(holder) {
    const pid = Number.parseInt(holder, 10)
    return pid > 0 && exists(pid) && identity(pid) === holder
  },
}

const take = (disk: Disk, path: string, self: string): boolean => {
  const own = `${path}.${self.replace(/\W+/g, '-')}`
  disk.write(own, new TextEncoder().encode(self), publicMode)
  try {
    return disk.link(own, path)
  } finally {
    disk.removeFile(own)
  }
}

/** Moves a dead holder's lock aside. When another took it over in between, that one's lock is put back. */
const clear = (disk: Disk, path: string, stale: string, self: string): void => {
  const aside = `${path}.${self.replace(/\W+/g, '-')}.stale`
  disk.rename(path, aside)
  if (readText(disk, aside) !== stale) disk.link(aside, path)
  disk.removeFile(aside)
}

/** Runs `work` as the only agent of the directory; throws AgentError `local` when another one is alive. */
export const withLock = async <T>(
  { disk, path, processes }: { disk: Disk; path: string; processes: Processes },
  work: () => Promise<T>,
): Promise<T> => {
  const self = processes.self()
  for (let attempt = 0; !take(disk, path, self); attempt += 1) {
    const holder = readText(disk, path)
    if (holder === null) continue
    if (processes.isAlive(holder) || attempt >= 5) {
      throw new AgentError(
        'local',
        `another agent (process ${Number.parseInt(holder, 10)}) works in this directory; lock file ${path}`,
      )
    }
    clear(disk, path, holder, self)
  }
  try {
    return await work()
  } finally {
    disk.removeFile(path)
  }
}
