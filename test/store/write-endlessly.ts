/**
 * A process that writes until it is killed or refused: `node write-endlessly.ts FILE`. Each transaction writes a device and an
 * event of the same number; the number is printed when it is durable. A refusal is printed as `refused CODE MESSAGE`.
 */
import { writeSync } from 'node:fs'
import { isEverleafError } from '../../src/errors.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { device, event } from '../support/records.ts'

const say = (line: string) => writeSync(1, `${line}\n`)

const [, , file = ''] = process.argv
try {
  const store = await openSqlite({ file })
  const [last] = await store.events.tail(1)
  let next = Number(last?.subject ?? 0)
  const write = async () => {
    for (;;) {
      next += 1
      const number = String(next)
      await store.transaction(async (tx) => {
        await tx.devices.put(device({ id: number, labels: { padding: 'x'.repeat(500) } }))
        await tx.events.append(event({ subject: number }))
      })
      say(number)
    }
  }
  await Promise.all([write(), write(), write(), write()])
} catch (error) {
  if (!isEverleafError(error)) throw error
  say(`refused ${error.code} ${error.message}`)
}
