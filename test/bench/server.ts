import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { end, startProgram } from './children.ts'
import type { Place } from './place.ts'

export interface BenchServer {
  child: ChildProcess
  /** Milliseconds from the start of the process until it said that it is ready. */
  readyMs: number
  stop(): Promise<void>
}

const patience = 120_000

/** Starts `everleaf serve` over a place and asks until it is ready. */
export const startServer = async (place: Place, nodeOptions: readonly string[] = []): Promise<BenchServer> => {
  const started = performance.now()
  const child = startProgram([process.execPath, ...nodeOptions, 'src/main.ts', '--config', place.file, 'serve'])
  let err = ''
  child.stderr?.on('data', (data: Buffer) => {
    err = (err + data.toString()).slice(-4_000)
  })
  while (!(await isReady(place.config.listen.admin.port))) {
    if (child.exitCode !== null || performance.now() - started > patience)
      throw new Error(`the server is not ready: ${err}`)
    await pause(2)
  }
  return { child, readyMs: performance.now() - started, stop: () => end(child, 'SIGTERM') }
}

const isReady = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on('error', () => resolve(false))
  })

/** Milliseconds of processor time that a process has used; NaN where the system does not tell. */
export const processorTime = (pid: number): number => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}
