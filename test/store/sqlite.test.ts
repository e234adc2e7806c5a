import { openSqlite } from '../../src/store/sqlite.ts'
import { storeContract } from '../contract/store.ts'

storeContract('SQLite', () => openSqlite({ file: ':memory:' }))
