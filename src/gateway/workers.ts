import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** A process by number and start, since numbers come again. */
interface Process {
  pid: number
  parent: number
  identity: string
}

/** A gateway's master process and the titles of its workers by identity. `master` null: no living process has the number in the pid file. */
export interface Workers {
  pid: number | null
  master: string | null
  workers: ReadonlyMap<string, string>
}

/** One line of /proc/<pid>/stat, proc_pid_stat(5). The name in parentheses may hold anything, so fields count from its end. */
const readStat = (text: string): Process | null => {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const pid = Number.parseInt(text, 10)
  const [state, parent] = fields
  const started = fields[19]
  if (!Number.isInteger(pid) || state === 'Z' || state === 'X' || started === undefined) return null
  return { pid, parent: Number(parent), identity: `${pid}@${started}` }
}

/** One that ended meanwhile reads as nothing. */
const readOrNothing = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')

const fromProc = async (pid: number): Promise<Workers> => {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(names.map((name) => readOrNothing(`/proc/${name}/stat`)))
  const processes = lines.map(readStat).filter((found) => found !== null)
  const master = processes.find((process) => process.pid === pid)?.identity ?? null
  const children = master === null ? [] : processes.filter(({ parent }) => parent === pid)
  const titles = await Promise.all(children.map((child) => readOrNothing(`/proc/${child.pid}/cmdline`)))
  return { pid, master, workers: new Map(children.map(({ identity }, index) => [identity, titles[index] ?? ''])) }
}

const psLine = /^\s*(\d+)\s+(\d+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/

/** For systems without /proc. */
const fromPs = async (pid: number): Promise<Workers> => {
  const columns = ['-A', '-o', 'pid=,ppid=,lstart=,args=']
  const { stdout } = await promisify(execFile)('ps', columns, { env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } })
  const lines = stdout.split('\n').map((line) => psLine.exec(line) ?? [])
  const found = lines.find(([, own]) => Number(own) === pid)
  const children = lines.filter(([, , parent]) => found !== undefined && Number(parent) === pid)
  const identity = (line: readonly string[]) => `${line[1]}@${line[3]}`
  return {
    pid,
    master: found === undefined ? null : identity(found),
    workers: new Map(children.map((line) => [identity(line), line[4] ?? ''])),
  }
}

export const lookAtWorkers = async (pidFile: string): Promise<Workers> => {
  const text = await readOrNothing(pidFile)
  if (!/^\s*[1-9]\d{0,9}\s*$/.test(text)) return { pid: null, master: null, workers: new Map() }
  return existsSync('/proc/self/stat') ? fromProc(Number(text)) : fromPs(Number(text))
}

/** Workers of a living master that were not there before. */
export const newWorkers = (now: Workers, before: Workers): string[] =>
  [...now.workers.keys()].filter((worker) => !before.workers.has(worker))

/** Workers of before that go on as if nothing had happened: not ended, and not renamed as nginx does with those that take no more connections. */
export const oldWorkers = (now: Workers, before: Workers): string[] =>
  [...before.workers].filter(([worker, title]) => now.workers.get(worker) === title).map(([worker]) => worker)

/** The same processes, none come and none gone; also when there are none at all. */
export const sameWorkers = (now: Workers, before: Workers): boolean =>
  now.master === before.master &&
  now.workers.size === before.workers.size &&
  oldWorkers(now, before).length === before.workers.size
