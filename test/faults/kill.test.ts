import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLocalAuthorities } from '../../src/authority/local.ts'
import { systemClock } from '../../src/clock/system.ts'
import { crlKey, truststoreKey } from '../../src/lifecycle/ports.ts'
import { openListenerDirectory } from '../../src/listener/directory.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { parseCrl } from '../../src/pki/crl.ts'
import { encodePem } from '../../src/protocol/pem.ts'
import { createDirectoryPublication } from '../../src/publication/directory.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { seededRandom } from '../fakes/random.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../fakes/webhook-receiver.ts'
import { runProgram, until } from '../support/server.ts'
import { requireTool } from '../support/tools.ts'
import { runFleet } from './fleet.ts'
import {
  certificateFaults,
  deliveryFaults,
  eventFaults,
  listenerFaults,
  publicationFaults,
  type Witness,
} from './invariants.ts'
import { makeSite, type Site } from './site.ts'

/** The same draws at each run; what they hit depends on the pace of the machine. */
const seed = 20_270_101
const clients = 5
const kills = 9

const san = { uri: ['spiffe://everleaf.test/device/{device}'] }
const secret = 'of the webhook'
let receiver: WebhookReceiver
let site: Site
beforeAll(async () => {
  receiver = await startWebhookReceiver(secret)
  site = await makeSite(
    {
      crl: { coalesce: '50ms' },
      profiles: {
        device: { validity: '1h', san, renewal: { burst: 1_000 } },
        reuse: { validity: '20s', san, renewal: { keys: 'reuse', after: 0.3, grace: '1h', burst: 1_000 } },
        brief: { validity: '4s', san },
      },
      events: { log: false, webhooks: [{ name: 'hook', url: receiver.url, secret: { file: 'hook-secret' } }] },
      log: { level: 'warn' },
    },
    { 'hook-secret': secret },
  )
})
afterAll(async () => {
  await site.remove()
  await receiver.close()
})

const crlFile = () => join(site.directory, 'published', crlKey('issuing-g1', 0))

/** Everything that the killed server left behind, opened by somebody else. */
const faultsOnDisk = async (witness: Witness): Promise<string[]> => {
  const path = (name: string) => join(site.directory, name)
  const passphrase = (await readFile(path('passphrase'), 'utf8')).trim()
  const clock = systemClock
  const store = await openSqlite({ file: path('everleaf.db') })
  try {
    const facts = {
      store,
      authorities: await openLocalAuthorities({ directory: path('authority'), passphrase, clock }),
      publication: createDirectoryPublication({ directory: path('published'), clock }),
      gateways: new Map(),
      listener: await openListenerDirectory(path('listener')),
    }
    const delivered = receiver.received.map((envelope) => ({ ...envelope, detailType: envelope['detail-type'] }))
    return [
      ...(await certificateFaults(facts, witness)),
      ...(await publicationFaults(facts, witness)),
      ...(await listenerFaults(facts)),
      ...(await eventFaults(facts)),
      ...deliveryFaults(delivered, await store.events.after(0, 1_000_000), await store.events.cursor('hook')),
    ]
  } finally {
    await store.close()
  }
}

/** What programs that are not ours say: of the CRL, of a certificate that lives and of one that is revoked. */
const verdictsOfOpenssl = async ({ received, revoked }: Witness) => {
  const published = (name: string) => join(site.directory, 'published', name)
  const openssl = async (...argv: string[]) => {
    const { code, out, err } = await runProgram(['openssl', ...argv])
    return code === 0 ? 'good' : `${out}${err}`
  }
  const inPem = async (name: string, der: Uint8Array, label = 'CERTIFICATE') => {
    await writeFile(join(site.directory, name), encodePem(label, der))
    return join(site.directory, name)
  }
  const anchors = published(truststoreKey)
  const crls = await Promise.all(
    ['issuing-g1', 'root-g1'].map(async (id) =>
      inPem(`${id}.pem`, await readFile(published(crlKey(id, 0))), 'X509 CRL'),
    ),
  )
  const bundle = join(site.directory, 'crls.pem')
  await writeFile(bundle, (await Promise.all(crls.map((file) => readFile(file)))).join(''))
  const [crl = ''] = crls
  const verify = (file: string) => openssl('verify', '-crl_check_all', '-CAfile', anchors, '-CRLfile', bundle, file)
  const parsed = received.map((der) => parseCertificate(der))
  const isLong = ({ notAfter }: { notAfter: number }) => notAfter > Date.now() + 60_000
  const gone = parsed.find((each) => isLong(each) && revoked.includes(each.serial))
  const live = parsed.findLast((each) => isLong(each) && !revoked.includes(each.serial))
  if (gone === undefined || live === undefined) throw new Error('nothing to verify')
  return {
    crl: await openssl('crl', '-in', crl, '-CAfile', anchors, '-noout'),
    live: await verify(await inPem('live.pem', live.der)),
    revoked: await verify(await inPem('revoked.pem', gone.der)),
  }
}

/** Whether every revocation is published, that is on record, and the newest event was told. */
const isQuiet = async ({ revoked }: Witness): Promise<boolean> => {
  const crl = parseCrl(await readFile(crlFile()))
  const listed = new Set([...crl.entries()].map(({ serial }) => serial))
  const records = await site.admin<{ crls: Array<{ number: string }> }>('crls')
  const isRecorded = records?.crls.some(({ number }) => number === String(crl.number))
  const answer = await site.admin<{ events: Array<{ id: string }> }>('events?limit=1')
  const isTold = receiver.received.some(({ id }) => id === answer?.events[0]?.id)
  return isTold && isRecorded === true && revoked.every((serial) => listed.has(serial))
}

/** Kills at an answer to some client, or at any moment of the start, and starts again. Returns the CRL numbers found each time. */
const killAgainAndAgain = async (armAt: (answers: number) => void): Promise<bigint[]> => {
  const random = seededRandom(seed)
  const numbers: bigint[] = []
  for (let kill = 0; kill < kills; kill++) {
    const behaviour = (['lose-answer', 'cut', 'hang'] as const)[kill % 3]
    receiver.fault({ behaviour, times: 1 })
    if (kill % 3 === 2) {
      await site.kill()
      site.spawn()
      // The moment itself is what is tried: anywhere between the first instruction and serving.
      await pause(random.fraction() * 1_000)
      site.signal('SIGKILL')
    } else armAt(1 + Math.floor(random.fraction() * 50))
    await site.ended()
    numbers.push(parseCrl(await readFile(crlFile())).number)
    site.spawn()
    await site.ready()
  }
  return numbers
}

test('a server that is killed again and again loses no certificate, no revocation and no event, and does nothing twice', async () => {
  const witness: Witness = { received: [], revoked: [] }
  const complaints: string[] = []
  const over = new AbortController()
  let answersLeft = Number.POSITIVE_INFINITY
  const progress = () => {
    answersLeft -= 1
    if (answersLeft === 0) site.signal('SIGKILL')
  }
  await site.start()
  const fleet = Array.from({ length: clients }, (_, index) => {
    const options = {
      site,
      random: seededRandom(seed + index),
      witness,
      profiles: ['device', 'device', 'reuse', 'brief'],
    }
    const complain = (words: string) => complaints.push(words)
    return runFleet(`client${index}`, { ...options, progress, complain }, over.signal)
  })
  const numbers = await killAgainAndAgain((answers) => {
    answersLeft = answers
  })
  answersLeft = Number.POSITIVE_INFINITY
  await until('something to look at', () => witness.received.length > 80 && witness.revoked.length > 8)
  over.abort()
  await Promise.all(fleet)
  receiver.fault()
  await until('everything told and published', () => isQuiet(witness))
  expect(complaints).toEqual([])
  for (const der of witness.received.slice(-20)) {
    const shown = await site.admin<{ pem: string }>(`certificates/issuing-g1/${parseCertificate(der).serial}`)
    expect(shown?.pem).toBe(encodePem('CERTIFICATE', der))
  }
  if (requireTool('openssl'))
    expect(await verdictsOfOpenssl(witness)).toEqual({
      crl: 'good',
      live: 'good',
      revoked: expect.stringContaining('certificate revoked'),
    })
  site.signal('SIGTERM')
  expect(await site.ended()).toEqual({ code: 0, signal: null })
  expect(numbers).toEqual(numbers.toSorted((one, other) => Number(one - other)))
  expect(await faultsOnDisk(witness)).toEqual([])
}, 90_000)
