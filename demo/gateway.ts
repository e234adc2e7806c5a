import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { certificateToBeSigned } from '../src/pki/certificate.ts'
import { serialFromBytes } from '../src/pki/serial.ts'
import { assembleSigned } from '../src/pki/signature.ts'
import { encodeName } from '../src/protocol/name.ts'
import { encodePem } from '../src/protocol/pem.ts'
import { freePort, node, root, start, until } from './processes.ts'
import type { GatewaySettings } from './server.ts'

export interface DemoGateway {
  kind: 'nginx' | 'tls'
  port: number
  /** PEM of the gateway's own certificate, which its clients trust. */
  certificate: string
  settings: GatewaySettings
  /** Starts to demand client certificates, once truststore and CRL are there. */
  enforce(): Promise<void>
}

interface Place {
  directory: string
  port: number
  key: string
  certificate: string
  truststore: string
  crl: string
}

/** A real nginx where there is one, otherwise a small TLS server with the same truststore and CRL. */
export const startGateway = async (directory: string): Promise<DemoGateway> => {
  await mkdir(directory, { recursive: true })
  const { keyPem, certificatePem } = ownIdentity()
  const file = (name: string) => join(directory, name)
  const place: Place = {
    directory,
    port: await freePort(),
    key: file('server-key.pem'),
    certificate: file('server-certificate.pem'),
    truststore: file('truststore.pem'),
    crl: file('crl.pem'),
  }
  await writeFile(place.key, keyPem, { mode: 0o600 })
  await writeFile(place.certificate, certificatePem)
  const nginx = findNginx()
  const started = nginx === null ? await startTlsGateway(place) : await startNginx(nginx, place)
  return { ...started, port: place.port, certificate: certificatePem }
}

const findNginx = (): string | null => {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  const isThere = (path: string) => {
    try {
      accessSync(path, constants.X_OK)
      return spawnSync(path, ['-v']).status === 0
    } catch {
      return false
    }
  }
  return folders.map((folder) => join(folder, 'nginx')).find(isThere) ?? null
}

/** nginx before and after it enforces: it must run already when the first truststore is installed. */
const nginxConfiguration = ({ directory, port, ...place }: Place, enforces: boolean): string => `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 2;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${place.certificate};
    ssl_certificate_key ${place.key};
    ${
      enforces
        ? `ssl_client_certificate ${place.truststore}; ssl_crl ${place.crl}; ssl_verify_client on; ssl_verify_depth 4;`
        : ''
    }
    location / { return 200 "$ssl_client_s_dn\\n"; }
  }
}
`

const startNginx = async (
  program: string,
  place: Place,
): Promise<Pick<DemoGateway, 'kind' | 'settings' | 'enforce'>> => {
  const { directory } = place
  const file = join(directory, 'nginx.conf')
  const pidFile = join(directory, 'nginx.pid')
  await writeFile(file, nginxConfiguration(place, false))
  const base = [program, '-p', directory, '-c', file, '-e', join(directory, 'error.log')]
  const { child, errors } = start(base)
  await until('nginx runs', async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${errors()}`)
    return spawnSync('test', ['-s', pidFile]).status === 0 ? true : null
  })
  const reload = [...base, '-s', 'reload']
  return {
    kind: 'nginx',
    settings: { truststore: place.truststore, crl: place.crl, test: [...base, '-t'], reload, pidFile, check: null },
    async enforce() {
      await writeFile(file, nginxConfiguration(place, true))
      const { status, stderr } = spawnSync(reload[0] ?? '', reload.slice(1))
      if (status !== 0) throw new Error(`nginx does not reload: ${stderr}`)
    },
  }
}

const startTlsGateway = async (place: Place): Promise<Pick<DemoGateway, 'kind' | 'settings' | 'enforce'>> => {
  const pidFile = join(place.directory, 'gateway.pid')
  const loaded = join(place.directory, 'loaded')
  const { child, errors } = start([node, join(root, 'demo/tls-gateway.ts'), place.directory, String(place.port)])
  await until('the TLS gateway runs', async () => {
    if (child.exitCode !== null) throw new Error(`the TLS gateway ended: ${errors()}`)
    return spawnSync('test', ['-s', pidFile]).status === 0 ? true : null
  })
  return {
    kind: 'tls',
    settings: {
      truststore: place.truststore,
      crl: place.crl,
      test: null,
      reload: ['sh', '-c', `kill -HUP "$(cat '${pidFile}')"`],
      pidFile: null,
      check: ['sh', '-c', `cat '${place.truststore}' '${place.crl}' | cmp -s - '${loaded}'`],
    },
    enforce: () => Promise.resolve(),
  }
}

const day = 86_400_000

/** The gateway's server certificate has nothing to do with Everleaf: clients of the demo trust just this one. */
const ownIdentity = (): { keyPem: string; certificatePem: string } => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = encodeName([['CN', 'gateway']])
  const toBeSigned = certificateToBeSigned({
    serial: serialFromBytes(randomBytes(16)),
    signatureAlgorithm: 'ecdsa-sha256',
    issuer: name,
    subject: name,
    notBefore: Date.now() - day,
    notAfter: Date.now() + day,
    spki: Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' })),
    authorityKeyIdentifier: null,
    extensions: {
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth'],
      subjectAlternativeName: { dns: ['localhost'], uri: [], ip: ['127.0.0.1'] },
    },
  })
  const der = assembleSigned(toBeSigned, 'ecdsa-sha256', sign('sha256', toBeSigned, privateKey))
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: encodePem('CERTIFICATE', der),
  }
}
