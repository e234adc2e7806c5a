// The gateway of the demo where there is no nginx: mutual TLS by node:tls with the same truststore and CRL files, read
// again at SIGHUP. Arguments: its directory and its port.
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'

const [directory = '.', port = '0'] = process.argv.slice(2)
const read = (name: string): string => readFileSync(join(directory, name), 'utf8')
const identity = { key: read('server-key.pem'), cert: read('server-certificate.pem'), requestCert: true }

const server = createServer({ ...identity, rejectUnauthorized: true }, (_request, response) => {
  response.end('welcome\n')
})

process.on('SIGHUP', () => {
  const [truststore, crl] = [read('truststore.pem'), read('crl.pem')]
  const crls = crl.split(/(?<=-----END X509 CRL-----\n)/).filter((text) => text.trim() !== '')
  server.setSecureContext({ ...identity, ca: truststore, crl: crls })
  writeFileSync(join(directory, 'loaded'), truststore + crl)
})
process.on('SIGTERM', () => process.exit(0))

server.listen(Number(port), '127.0.0.1', () => writeFileSync(join(directory, 'gateway.pid'), String(process.pid)))
