import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { runProgram } from './children.ts'
import { timed } from './measure.ts'
import { serialBytes } from './seed.ts'

const config = (directory: string) => `[ca]
default_ca = own
[own]
database = ${directory}/index.txt
crlnumber = ${directory}/crlnumber
private_key = ${directory}/key.pem
certificate = ${directory}/ca.pem
default_md = sha256
default_crl_days = 7
`

const compact = (time: Date): string => `${time.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`
const reasons = [',keyCompromise', ',superseded', ',cessationOfOperation', '']

function* lines(count: number): Generator<string> {
  const now = Date.now()
  const expiry = compact(new Date(now + 5_184_000_000))
  let index = 0
  for (const serial of serialBytes(count)) {
    const revoked = compact(new Date(now - ((index * 2_654_435_761) % 2_592_000) * 1_000))
    const device = `device-${String(index).padStart(8, '0')}`
    yield `R\t${expiry}\t${revoked}${reasons[index % 4]}\t${serial.toString('hex').toUpperCase()}\tunknown\t/CN=${device}\n`
    index += 1
  }
}

/** Milliseconds of each of `rounds` runs of `openssl ca -gencrl` over an index of `count` revoked certificates. */
export const opensslCrl = async (directory: string, count: number, rounds: number): Promise<number[]> => {
  await mkdir(directory, { recursive: true })
  const path = (name: string) => join(directory, name)
  await writeFile(path('openssl.cnf'), config(directory))
  await writeFile(path('crlnumber'), '01\n')
  await pipeline(lines(count), createWriteStream(path('index.txt')))
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path('key.pem')]
  await runProgram(['openssl', 'req', '-x509', ...key, '-subj', '/CN=Bench', '-days', '30', '-out', path('ca.pem')])
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1)
    times.push(
      await timed(() =>
        runProgram(['openssl', 'ca', '-gencrl', '-config', path('openssl.cnf'), '-out', path('crl.pem')]),
      ),
    )
  return times
}
