import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './server.ts'
import { findProgram } from './tools.ts'

export interface NginxOptions {
  /** Paths of the files that it reads for client certificates; both must be there when it starts. */
  truststore: string
  crl: string
  /** PEM texts of its own identity. */
  serverKey: string
  serverChain: string
  workers?: number
  /** Further lines for the server block. */
  server?: string
}

export interface Nginx {
  port: number
  pidFile: string
  /** Its configuration, logs and temporary files; removed by `stop`. */
  directory: string
  /** Commands as a gateway takes them. */
  test: string[]
  reload: string[]
  /** What it wrote to its error log. */
  errors(): Promise<string>
  stop(): Promise<void>
}

const configuration = (options: NginxOptions, directory: string, port: number): string => `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes ${options.workers ?? 1};
pid ${directory}/nginx.pid;
error_log ${directory}/error.log info;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${directory}/temporary/body;
  proxy_temp_path ${directory}/temporary/proxy;
  fastcgi_temp_path ${directory}/temporary/fastcgi;
  uwsgi_temp_path ${directory}/temporary/uwsgi;
  scgi_temp_path ${directory}/temporary/scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${directory}/server-chain.pem;
    ssl_certificate_key ${directory}/server-key.pem;
    ssl_client_certificate ${options.truststore};
    ssl_crl ${options.crl};
    ssl_verify_client on;
    ssl_verify_depth 4;
    ssl_session_cache off;
    ssl_session_tickets off;
    location / { return 200 "$ssl_client_s_dn\\n"; }
    ${options.server ?? ''}
  }
}
`

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

const untilServing = async (child: ChildProcess, port: number, errors: () => Promise<string>): Promise<void> => {
  const deadline = Date.now() + 10_000
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}: ${await errors()}`)
    if (Date.now() > deadline) throw new Error(`nginx does not listen after ten seconds: ${await errors()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Starts a real nginx that demands client certificates, on a free port of 127.0.0.1; as root and as anybody else. */
export const startNginx = async (options: NginxOptions): Promise<Nginx> => {
  const program = findProgram('nginx')
  if (program === null) throw new Error('nginx is not installed; ask requireTool("nginx") first')
  const directory = await mkdtemp(join(tmpdir(), 'everleaf-nginx-'))
  await mkdir(join(directory, 'temporary'))
  const port = await freePort()
  await writeFile(join(directory, 'server-key.pem'), options.serverKey, { mode: 0o600 })
  await writeFile(join(directory, 'server-chain.pem'), options.serverChain)
  await writeFile(join(directory, 'nginx.conf'), configuration(options, directory, port))
  // -e: without it nginx opens the log of the system's own before it reads its configuration.
  const base = [program, '-p', directory, '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')]
  const errors = () => readFile(join(directory, 'error.log'), 'utf8').catch(() => '')
  const child = spawn(base[0] ?? '', base.slice(1), { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const killed = () => child.kill('SIGTERM')
  process.once('exit', killed)
  const stop = async (): Promise<void> => {
    process.off('exit', killed)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await untilServing(child, port, errors)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    pidFile: join(directory, 'nginx.pid'),
    directory,
    test: [...base.slice(0, 5), '-e', 'stderr', '-t', '-q'],
    reload: [...base, '-s', 'reload'],
    errors,
    stop,
  }
}

/** One HTTPS request on a connection of its own. Status 0: the connection ended without an answer. */
export const requestOnce = (
  port: number,
  identity: { key?: string; cert?: string; ca: string },
): Promise<{ status: number; body: string }> =>
  new Promise((resolve) => {
    const options = {
      host: '127.0.0.1',
      port,
      agent: false,
      servername: 'localhost',
      timeout: 10_000,
      ...identity,
    } as const
    const outgoing = request(options, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text) => {
        body += text
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
      answer.on('error', (error) => resolve({ status: 0, body: error.message }))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within ten seconds')))
    outgoing.on('error', (error) => resolve({ status: 0, body: error.message }))
    outgoing.end()
  })
