import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, createSecureContext, type SecureContext } from 'node:tls'
import { answerEach } from './children.ts'

/** PEM of key and certificate, and the body that asks for the successor. */
export interface ClientDevice {
  key: string
  chain: string
  request: string
}

export type ClientOrder =
  | { act: 'load'; file: string }
  | {
      act: 'run'
      port: number
      concurrency: number
      /** Which of the loaded devices. */
      from: number
      count: number
      /** At fixed instants; null: as fast as the server answers. */
      perSecond: number | null
    }

export interface ClientAnswers {
  ms: number
  latencies: number[]
  failures: number
  failure: string
}

interface Prepared {
  context: SecureContext
  request: string
}

/** A client must cost little beside its server: contexts and requests are ready before the clock runs. */
let devices: Prepared[] = []

const load = (file: string): void => {
  const read = JSON.parse(readFileSync(file, 'utf8')) as ClientDevice[]
  devices = read.map(({ key, chain, request }) => ({
    context: createSecureContext({ key, cert: chain }),
    request: [
      'POST /.well-known/est/simplereenroll HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/pkcs10',
      'Content-Transfer-Encoding: base64',
      `Content-Length: ${request.length}`,
      'Connection: close',
      '',
      request,
    ].join('\r\n'),
  }))
}

/** One renewal on a connection of its own. Only servers of this bench are spoken to, so none is verified. */
const renewOnce = ({ context, request }: Prepared, port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      secureContext: context,
      rejectUnauthorized: false,
      servername: 'localhost',
    })
    let text = ''
    socket.on('secureConnect', () => socket.write(request))
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })

const run = async (order: ClientOrder & { act: 'run' }): Promise<ClientAnswers> => {
  const { from, count, port, perSecond } = order
  const answers: ClientAnswers = { ms: 0, latencies: [], failures: 0, failure: '' }
  const one = async (index: number, since: number) => {
    const device = devices[from + index]
    const text = device === undefined ? 'no such device' : await renewOnce(device, port).catch(String)
    answers.latencies.push(performance.now() - since)
    if (text.startsWith('HTTP/1.1 200 ')) return
    answers.failures += 1
    answers.failure = text.slice(0, 500)
  }
  const start = performance.now()
  if (perSecond === null) {
    let next = 0
    const worker = async () => {
      while (next < count) await one(next++, performance.now())
    }
    await Promise.all(Array.from({ length: order.concurrency }, worker))
  } else {
    const sent: Promise<void>[] = []
    for (let index = 0; index < count; index += 1) {
      const at = start + (index * 1_000) / perSecond
      if (at > performance.now()) await pause(at - performance.now())
      sent.push(one(index, at))
    }
    await Promise.all(sent)
  }
  answers.ms = performance.now() - start
  return answers
}

answerEach(async (order: ClientOrder) => {
  if (order.act === 'run') return run(order)
  load(order.file)
  return { devices: devices.length }
})
