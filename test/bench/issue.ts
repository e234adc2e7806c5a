import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { join } from 'node:path'
import { createToken } from '../../src/lifecycle/create-token.ts'
import { enrolDevice } from '../../src/lifecycle/enrol-device.ts'
import { issueCertificate } from '../../src/lifecycle/issue-certificate.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import { certificateDetail, iso, recordEvent } from '../../src/lifecycle/record-event.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { parseCsr } from '../../src/pki/csr.ts'
import { readDer } from '../../src/protocol/der.ts'
import { encodeName } from '../../src/protocol/name.ts'
import { makeCsr, makeKey, type TestKey } from '../support/certificates.ts'
import type { Bench } from './bench.ts'
import { digits, median, rate, rateAlone } from './measure.ts'
import { makePeculiarIssuer } from './peculiar.ts'
import { makePlace, openPorts } from './place.ts'

/** Requests under way at once, in ours and in the baselines that have a choice. */
const concurrency = 256
const perRound = 2_000
const perPeculiarRound = 200

type Rates = Record<'ours' | 'limit' | 'limitAsync' | 'csr' | 'csrLimit' | 'csrLimitAsync' | 'peculiar', number>

export const issue: Bench = async ({ directory, progress, rounds }) => {
  const ports = await openPorts(await makePlace(join(directory, 'issue')))
  const peculiar = await makePeculiarIssuer()
  const keys = Array.from({ length: 256 }, () => makeKey())
  const sample = parseCertificate((await issueOn(keys[0] ?? makeKey(), 'device-0', ports)).der)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const measured: Rates[] = []
  try {
    for (let round = 0; round <= rounds; round += 1) {
      progress(round === 0 ? 'issue: warming up' : `issue: round ${round} of ${rounds}`)
      const requests = await makeRequests(round, ports)
      const raw = requests.map(({ csr }) => rawRequest(csr))
      const keyOf = (index: number) => keys[index % keys.length] as TestKey
      const rates: Rates = {
        limit: rateAlone(perRound, () => sign('sha256', sample.tbs, privateKey)),
        limitAsync: await rate(perRound, concurrency, () => signAsync(sample.tbs, privateKey)),
        ours: await rate(perRound, concurrency, (index) => issueDurably(keyOf(index), `key-${round}-${index}`, ports)),
        csrLimit: rateAlone(perRound, (index) => {
          verifyRaw(raw[index])
          sign('sha256', sample.tbs, privateKey)
        }),
        csrLimitAsync: await rate(perRound, concurrency, async (index) => {
          verifyRaw(raw[index])
          await signAsync(sample.tbs, privateKey)
        }),
        csr: await rate(perRound, concurrency, (index) => enrol(requests[index], ports)),
        peculiar: await rate(perPeculiarRound, 16, () => peculiar()),
      }
      if (round > 0) measured.push(rates)
    }
  } finally {
    await ports.close()
  }
  return [reportOf((name) => median(measured.map((rates) => rates[name])))]
}

const reportOf = (of: (name: keyof Rates) => number) => {
  // The faster way of signing is the limit.
  const limit = Math.max(of('limit'), of('limitAsync'))
  const csrLimit = Math.max(of('csrLimit'), of('csrLimitAsync'))
  const [ours, csr, peculiar] = [of('ours'), of('csr'), of('peculiar')]
  const result = {
    bench: 'issue',
    perSecond: Math.round(ours),
    limitPerSecond: Math.round(limit),
    ratioToLimit: digits(ours / limit),
    limitOneThreadPerSecond: Math.round(of('limit')),
    limitThreadPoolPerSecond: Math.round(of('limitAsync')),
    ratioToThreadPool: digits(ours / of('limitAsync')),
    csrPerSecond: Math.round(csr),
    csrLimitPerSecond: Math.round(csrLimit),
    csrRatioToLimit: digits(csr / csrLimit),
    csrLimitOneThreadPerSecond: Math.round(of('csrLimit')),
    csrLimitThreadPoolPerSecond: Math.round(of('csrLimitAsync')),
    peculiarPerSecond: Math.round(peculiar),
    ratioToPeculiar: digits(ours / peculiar),
  }
  const row = (what: string, rate: number, baseline: string, base: number, target: string, met: boolean) => ({
    what,
    ours: `${Math.round(rate)}/s`,
    baseline: `${baseline} ${Math.round(base)}/s`,
    ratio: `${digits((rate * 100) / base)} %`,
    target,
    met,
  })
  const rows = [
    row('key on record to durable row', ours, 'sign', limit, '≥ 50 %', ours >= limit / 2),
    row('request to released certificate', csr, 'verify + sign', csrLimit, '≥ 50 %', csr >= csrLimit / 2),
    {
      ...row('key on record to durable row', ours, '@peculiar/x509', peculiar, '≥ 20 ×', ours >= peculiar * 20),
      ratio: `${digits(ours / peculiar)} ×`,
    },
  ]
  return { result, rows }
}

const issueOn = (key: TestKey, device: string, ports: Ports) => {
  const profile = ports.profiles.get('device')
  if (profile === undefined) throw new Error('the place has no profile "device"')
  const issuance = {
    profile,
    device,
    source: 'issued' as const,
    subject: encodeName([['CN', device]]),
    san: { dns: [], uri: [`spiffe://everleaf.local/device/${device}`], ip: [] },
    spki: key.spki,
    predecessor: null,
    token: null,
  }
  return issueCertificate(issuance, ports, ports.clock.now())
}

const issueDurably = async (key: TestKey, device: string, ports: Ports): Promise<void> => {
  const certificate = await issueOn(key, device, ports)
  await ports.store.transaction(async (tx) => {
    await tx.certificates.insert(certificate)
    const detail = { ...certificateDetail(certificate), NotBefore: iso(certificate.notBefore) }
    await recordEvent(tx, { at: certificate.issuedAt, subject: device, detailType: 'Certificate Issued', detail })
  })
}

interface Request {
  device: string
  token: string
  csr: Uint8Array
}

const makeRequests = (round: number, ports: Ports): Promise<Request[]> =>
  Promise.all(
    Array.from({ length: perRound }, async (_, index) => {
      const device = `request-${round}-${index}`
      const { token } = await createToken({ device, profile: 'device', ttl: 3_600_000, labels: {} }, ports)
      return { device, token, csr: (await makeCsr({ subject: device })).der }
    }),
  )

const enrol = (request: Request | undefined, ports: Ports): Promise<unknown> => {
  if (request === undefined) throw new Error('a request is missing')
  const { device, token, csr } = request
  return enrolDevice({ user: device, token, label: null, csr: parseCsr(csr) }, ports)
}

interface RawRequest {
  data: Uint8Array
  signature: Uint8Array
  key: KeyObject
}

/** Taken apart before the clock runs: the limit is the cryptography alone. */
const rawRequest = (csr: Uint8Array): RawRequest => {
  const [info, , signature] = readDer(csr).children
  const key = createPublicKey({ key: Buffer.from(parseCsr(csr).spki), type: 'spki', format: 'der' })
  return { data: info?.bytes ?? csr, signature: signature?.content.subarray(1) ?? csr, key }
}

const verifyRaw = (request: RawRequest | undefined): void => {
  if (!request || !verify('sha256', request.data, request.key, request.signature))
    throw new Error('a request of the baseline does not verify')
}

const signAsync = (data: Uint8Array, key: KeyObject): Promise<Uint8Array> =>
  new Promise((resolve, reject) => sign('sha256', data, key, (error, made) => (error ? reject(error) : resolve(made))))
