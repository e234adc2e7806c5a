import { systemClock } from '../../src/clock/system.ts'
import { createCommandGateway } from '../../src/gateway/command.ts'
import { artefacts } from './script-gateway.ts'

/** Applies number 2 in a process of its own, which one of its commands kills. */
const options = JSON.parse(process.argv[2] ?? '{}')
const plain = { name: 'script', test: null, pidFile: null, check: null, timeout: 5_000, clock: systemClock }
await createCommandGateway({ ...plain, ...options }).apply(artefacts(2))
