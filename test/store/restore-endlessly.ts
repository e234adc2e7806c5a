/** A process that restores again and again until it is killed: `node restore-endlessly.ts FROM INTO`. */
import { restoreSqlite } from '../../src/store/restore.ts'

const [, , from = '', into = ''] = process.argv
for (;;) await restoreSqlite({ from, into })
