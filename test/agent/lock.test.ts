import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemDisk } from '../../src/agent/disk.ts'
import { type Processes, systemProcesses, withLock } from '../../src/agent/lock.ts'
import { temporaryDirectory } from './setup.ts'

const lockIn = (directory: string, processes: Processes = systemProcesses) => ({
  disk: systemDisk,
  path: join(directory, 'agent.lock'),
  processes,
})
const held = async () => 'done'

describe('the lock of a directory', () => {
  it('is held while the work lasts and gone afterwards, failures included', async () => {
    const directory = temporaryDirectory()
    const lock = lockIn(directory)
    await withLock(lock, async () => expect(readFileSync(lock.path, 'utf8')).toBe(systemProcesses.self()))
    await expect(withLock(lock, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
    expect(readdirSync(directory)).toEqual([])
  })

  it('keeps a second agent out, and names the first', async () => {
    const lock = lockIn(temporaryDirectory())
    await withLock(lock, async () => {
      await expect(withLock(lock, held)).rejects.toThrow(
        new RegExp(`process ${process.pid}\\) works in this directory`),
      )
      expect(existsSync(lock.path)).toBe(true)
    })
  })

  it('is taken over from a process that is gone', async () => {
    const lock = lockIn(temporaryDirectory())
    const child = spawn('true')
    await new Promise((resolve) => child.on('exit', resolve))
    writeFileSync(lock.path, `${child.pid} 12345 boot`)
    expect(await withLock(lock, held)).toBe('done')
  })

  it('is taken over from a process of the same id that started at another time, as after a reboot', async () => {
    const lock = lockIn(temporaryDirectory())
    for (const holder of [`${process.pid} 1 another-boot`, `1 99999999999 ${'x'.repeat(36)}`, '', 'nonsense']) {
      writeFileSync(lock.path, holder)
      expect(await withLock(lock, held)).toBe('done')
    }
  })

  it('knows a living process from a dead one', () => {
    expect(systemProcesses.isAlive(systemProcesses.self())).toBe(true)
    expect(systemProcesses.isAlive('0')).toBe(false)
    expect(systemProcesses.isAlive('-1')).toBe(false)
  })

  it('admits one of many who find a stale lock together', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'agent.lock'), '99999999 1 gone')
    const alive = new Set<string>()
    let inside = 0
    let most = 0
    const attempts = Array.from({ length: 10 }, (_, index) => {
      const self = `${index + 1} start boot`
      alive.add(self)
      const lock = lockIn(directory, { self: () => self, isAlive: (holder) => alive.has(holder) })
      return withLock(lock, async () => {
        inside += 1
        most = Math.max(most, inside)
        await new Promise((resolve) => setImmediate(resolve))
        inside -= 1
      }).catch(() => undefined)
    })
    await Promise.all(attempts)
    expect(most).toBe(1)
  })
})
