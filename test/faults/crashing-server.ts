/**
 * A process of its own that tells the story in a directory and kills itself with SIGKILL at the point of the given number.
 * On stdout, a line of JSON each: the step that begins with the time, and each fact at the moment when the outside knows it.
 */
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { realFileSystem } from '../../src/durable-files.ts'
import { openPlace } from './place.ts'
import { readKeys } from './saved-keys.ts'
import { newOutside, steps } from './story.ts'
import { createTrap } from './trap.ts'

const [directory = '', now = '', chosen = ''] = process.argv.slice(2)

const tell = (line: object): void => {
  writeSync(
    1,
    `${JSON.stringify(line, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value))}\n`,
  )
}

const trap = createTrap({ strike: () => process.kill(process.pid, 'SIGKILL'), writes: false })
const files: typeof realFileSystem = {
  ...realFileSystem,
  async rename(from, to) {
    await trap.point(`before the rename to ${to}`)
    await realFileSystem.rename(from, to)
    await trap.point(`after the rename to ${to}`)
  },
}

const place = await openPlace({ directory, now: Number(now), seed: 1, wrap: trap.wrap, files })
const keys = readKeys(readFileSync(join(directory, 'keys.json'), 'utf8'))
const outside = { ...newOutside(keys), hears: tell }
trap.arm(Number(chosen))
for (const [index, step] of steps.entries()) {
  tell({ what: 'step', index, at: place.clock.now() })
  await step.run({ ports: place.ports, outside, wait: (duration) => place.clock.advance(duration) })
}
tell({ what: 'end', points: trap.passed })
await place.close()
